# Writes OUTPUT, a C++ file with the texts of FLOW and POLICY in it:
# cmake -DOUTPUT=… -DFLOW=… -DPOLICY=… -P this
file(WRITE ${OUTPUT} "// The texts of the published JSON Schemas.\n#include \"cli/schemas.h\"\n\n"
  "namespace beamline::cli {\n\n")
foreach(schema "kFlowSchema;${FLOW}" "kPolicySchema;${POLICY}")
  list(GET schema 0 name)
  list(GET schema 1 path)
  file(READ ${path} text)
  file(APPEND ${OUTPUT} "const char ${name}[] = R\"schema(${text})schema\";\n\n")
endforeach()
file(APPEND ${OUTPUT} "}  // namespace beamline::cli\n")

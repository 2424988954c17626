// The list is what `jq -n builtins` prints (tests/flowspec/jq_test.cc compares).
#include "flowspec/builtins.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace beamline::flowspec {
namespace {

constexpr char kBuiltins[] =
    "IN/1,2 INDEX/1,2 JOIN/2,3,4 acos/0 acosh/0 add/0 all/0,1,2 any/0,1,2 arrays/0 "
    "ascii_downcase/0 ascii_upcase/0 asin/0 asinh/0 atan/0 atan2/2 atanh/0 booleans/0 bsearch/1 "
    "builtins/0 capture/1,2 cbrt/0 ceil/0 combinations/0,1 contains/1 copysign/2 cos/0 cosh/0 "
    "del/1 delpaths/1 drem/2 empty/0 endswith/1 erf/0 erfc/0 error/0,1 exp/0 exp10/0 exp2/0 "
    "explode/0 expm1/0 fabs/0 fdim/2 finites/0 first/0,1 flatten/0,1 floor/0 fma/3 fmax/2 fmin/2 "
    "fmod/2 format/1 frexp/0 from_entries/0 fromdate/0 fromdateiso8601/0 fromjson/0 fromstream/1 "
    "gamma/0 getpath/1 gmtime/0 group_by/1 gsub/2,3 has/1 hypot/2 implode/0 in/1 index/1 "
    "indices/1 infinite/0 inside/1 isempty/1 isfinite/0 isinfinite/0 isnan/0 isnormal/0 "
    "iterables/0 j0/0 j1/0 jn/2 join/1 keys/0 keys_unsorted/0 last/0,1 ldexp/2 leaf_paths/0 "
    "length/0 lgamma/0 lgamma_r/0 limit/2 localtime/0 log/0 log10/0 log1p/0 log2/0 logb/0 "
    "ltrimstr/1 map/1 map_values/1 match/1,2 max/0 max_by/1 min/0 min_by/1 mktime/0 modf/0 nan/0 "
    "nearbyint/0 nextafter/2 nexttoward/2 normals/0 not/0 nth/1,2 nulls/0 numbers/0 objects/0 "
    "path/1 paths/0,1 pow/2 pow10/0 range/1,2,3 recurse/0,1,2 recurse_down/0 remainder/2 repeat/1 "
    "reverse/0 rindex/1 rint/0 round/0 rtrimstr/1 scalars/0 scalars_or_empty/0 scalb/2 scalbln/2 "
    "scan/1 select/1 setpath/2 significand/0 sin/0 sinh/0 sort/0 sort_by/1 split/1,2 splits/1,2 "
    "sqrt/0 startswith/1 strflocaltime/1 strftime/1 strings/0 strptime/1 sub/2,3 tan/0 tanh/0 "
    "test/1,2 tgamma/0 to_entries/0 todate/0 todateiso8601/0 tojson/0 tonumber/0 tostream/0 "
    "tostring/0 transpose/0 trunc/0 truncate_stream/1 type/0 unique/0 unique_by/1 until/2 "
    "utf8bytelength/0 values/0 walk/1 while/2 with_entries/1 y0/0 y1/0 yn/2 ";

constexpr std::pair<std::string_view, std::string_view> kForbidden[] = {
    {"debug", "look at the step's input with `beamline logs` or put the value into an output"},
    {"get_jq_origin", "expressions see nothing of the machine they run on"},
    {"get_prog_origin", "expressions see nothing of the machine they run on"},
    {"get_search_list", "expressions cannot load modules"},
    {"halt", "`if`, `fail` and `error(\"message\")` end a step"},
    {"halt_error", "`if`, `fail` and `error(\"message\")` end a step"},
    {"input", "expressions have no input stream; read `inputs`"},
    {"input_filename", "expressions have no input stream; read `inputs`"},
    {"input_line_number", "expressions have no input stream; read `inputs`"},
    {"modulemeta", "expressions cannot load modules"},
    {"stderr", "look at the step's input with `beamline logs` or put the value into an output"},
};

const std::map<std::string, std::vector<int>, std::less<>>& Arities() {
  static const auto* const arities = [] {
    auto* map = new std::map<std::string, std::vector<int>, std::less<>>();
    const std::vector<std::string> entries = absl::StrSplit(kBuiltins, ' ', absl::SkipEmpty());
    for (const std::string& entry : entries) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(entry, '/');
      const std::vector<std::string> counts = absl::StrSplit(parts.second, ',');
      for (const std::string& arity : counts) {
        int value = 0;
        if (absl::SimpleAtoi(arity, &value)) (*map)[parts.first].push_back(value);
      }
    }
    return map;
  }();
  return *arities;
}

}  // namespace

bool IsBuiltin(std::string_view name, int arity) {
  const auto it = Arities().find(name);
  if (it == Arities().end()) return false;
  for (int known : it->second) {
    if (known == arity) return true;
  }
  return false;
}

std::vector<int> BuiltinArities(std::string_view name) {
  const auto it = Arities().find(name);
  return it == Arities().end() ? std::vector<int>() : it->second;
}

std::string_view WhyForbidden(std::string_view name) {
  for (const auto& [forbidden, why] : kForbidden) {
    if (forbidden == name) return why;
  }
  return {};
}

const std::vector<std::string>& BuiltinNames() {
  static const auto* const names = [] {
    auto* list = new std::vector<std::string>();
    for (const auto& [name, arities] : Arities()) list->push_back(name);
    return list;
  }();
  return *names;
}

const std::vector<std::string>& ForbiddenNames() {
  static const auto* const names = [] {
    auto* list = new std::vector<std::string>();
    for (const auto& [name, why] : kForbidden) list->emplace_back(name);
    return list;
  }();
  return *names;
}

}  // namespace beamline::flowspec

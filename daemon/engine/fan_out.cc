// Items are slices of one array's text; nothing is parsed into values.
#include "daemon/engine/fan_out.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/json_array.h"
#include "flowspec/json_match.h"
#include "flowspec/json_text.h"

namespace beamline::engine {
namespace {

constexpr size_t kItemsMax = 1'000'000;
constexpr size_t kCombinationsMax = 10'000;
constexpr size_t kKeyBytesMax = 256;

run::Error Failed(std::string message) { return {"expression", std::move(message)}; }

std::string Joined(const std::vector<std::string>& values) {
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

void Batch(size_t size, Items* items) {
  std::vector<std::string> batches;
  for (size_t i = 0; i < items->items.size(); i += size) {
    const auto begin = items->items.begin() + static_cast<ptrdiff_t>(i);
    const auto end = begin + static_cast<ptrdiff_t>(std::min(size, items->items.size() - i));
    batches.push_back(Joined({begin, end}));
  }
  items->items = std::move(batches);
}

// Keys name items in idempotency keys and for people: they must differ.
run::Error AddKeys(Items* items, std::string* json) {
  absl::flat_hash_set<std::string_view> seen;
  for (const std::string& key : items->keys) {
    if (!seen.insert(key).second) return Failed(absl::StrCat("two items have the key `", key, "`"));
  }
  std::vector<std::string> quoted;
  for (const std::string& key : items->keys) quoted.push_back(flowspec::QuoteJson(key));
  *json = Joined(quoted);
  return {};
}

run::Error EvaluateKeys(const flowspec::Foreach& foreach, Evaluation* evaluation, Scope* scope,
                        Items* items) {
  const std::vector<flowspec::ExprIndex> wanted = foreach.key.Holes();
  for (size_t i = 0; i < items->items.size(); ++i) {
    scope->Set("item", items->items[i]);
    scope->Set(foreach.as, items->items[i]);
    scope->Set("index", absl::StrCat(i));
    for (flowspec::ExprIndex expr : wanted) evaluation->Forget(expr);
    evaluation->Evaluate(wanted);
    absl::StatusOr<std::string> json = evaluation->Render(foreach.key);
    if (!json.ok()) return ExpressionError(json.status());
    const char kind = flowspec::JsonKind(*json);
    std::string key = kind == '"' ? flowspec::UnquoteJson(*json) : *json;
    if ((kind != '"' && kind != '0') || key.empty() || key.size() > kKeyBytesMax) {
      return Failed(absl::StrCat("`foreach.key` of item ", i, " must be a text of at most ",
                                 kKeyBytesMax, " bytes or a number; it is ", key.substr(0, 60)));
    }
    items->keys.push_back(std::move(key));
  }
  return {};
}

struct Axis {
  std::string name;
  std::string array;  // that the values are slices of
  std::vector<std::string_view> values;
};

// A scalar names itself, anything else its place.
std::string Word(std::string_view json, size_t index) {
  const char kind = flowspec::JsonKind(json);
  if (kind == '"') return flowspec::UnquoteJson(json);
  return kind == '{' || kind == '[' ? absl::StrCat(index) : std::string(json);
}

run::Error ReadAxes(const flowspec::Matrix& matrix, Evaluation* evaluation,
                    std::vector<Axis>* axes) {
  size_t combinations = 1;
  axes->reserve(matrix.axes.size());  // values point into their arrays
  for (const auto& [name, value] : matrix.axes) {
    absl::StatusOr<std::string> array = evaluation->Render(value);
    if (!array.ok()) return ExpressionError(array.status());
    if (flowspec::JsonKind(*array) != '[') {
      return Failed(absl::StrCat("matrix axis `", name, "` must come to an array; it came to ",
                                 array->substr(0, 60)));
    }
    Axis& axis = axes->emplace_back(Axis{name, *std::move(array), {}});
    axis.values = flowspec::ArrayElements(axis.array);
    combinations *= axis.values.size();
    if (combinations > kCombinationsMax) {
      return {"limit", absl::StrCat("the matrix has over ", kCombinationsMax, " combinations")};
    }
  }
  return {};
}

// All of them, as an odometer turns.
void Combine(const flowspec::Matrix& matrix, const std::vector<Axis>& axes, Items* items) {
  std::vector<size_t> at(axes.size(), 0);
  if (axes.empty()) return;
  if (std::any_of(axes.begin(), axes.end(), [](const Axis& a) { return a.values.empty(); })) return;
  while (true) {
    std::string object, key;
    for (size_t i = 0; i < axes.size(); ++i) {
      const std::string_view value = axes[i].values[at[i]];
      absl::StrAppend(&object, i > 0 ? "," : "{", flowspec::QuoteJson(axes[i].name), ":",
                      absl::string_view(value.data(), value.size()));
      absl::StrAppend(&key, i > 0 ? "-" : "", Word(value, at[i]));
    }
    object += "}";
    const bool excluded =
        std::any_of(matrix.exclude.begin(), matrix.exclude.end(),
                    [&](const std::string& wanted) { return flowspec::JsonHolds(object, wanted); });
    if (!excluded) {
      items->items.push_back(std::move(object));
      items->keys.push_back(std::move(key));
    }
    size_t turn = axes.size();
    while (turn > 0 && ++at[turn - 1] == axes[turn - 1].values.size()) at[--turn] = 0;
    if (turn == 0) return;
  }
}

}  // namespace

run::Error FanOutForeach(const flowspec::Foreach& foreach, Evaluation* evaluation, Scope* scope,
                         FannedOut* out) {
  absl::StatusOr<std::string> array = evaluation->Render(foreach.items);
  if (!array.ok()) return ExpressionError(array.status());
  if (flowspec::JsonKind(*array) != '[') {
    return Failed(
        absl::StrCat("`foreach.items` must come to an array; it came to ", array->substr(0, 60)));
  }
  auto items = std::make_shared<Items>();
  for (std::string_view item : flowspec::ArrayElements(*array)) items->items.emplace_back(item);
  if (items->items.size() > kItemsMax) {
    return {"limit", absl::StrCat("`foreach.items` has ", items->items.size(), " items; at most ",
                                  kItemsMax)};
  }
  out->items_json = *std::move(array);
  if (foreach.batch > 1) {
    Batch(static_cast<size_t>(foreach.batch), items.get());
    out->items_json = Joined(items->items);
  }
  if (!foreach.key.empty()) {
    run::Error error = EvaluateKeys(foreach, evaluation, scope, items.get());
    if (error.ok()) error = AddKeys(items.get(), &out->keys_json);
    if (!error.ok()) return error;
  }
  out->items = std::move(items);
  return {};
}

run::Error FanOutMatrix(const flowspec::Matrix& matrix, Evaluation* evaluation, FannedOut* out) {
  std::vector<Axis> axes;
  if (run::Error error = ReadAxes(matrix, evaluation, &axes); !error.ok()) return error;
  auto items = std::make_shared<Items>();
  Combine(matrix, axes, items.get());
  for (const std::string& object : matrix.include) {
    std::string key;
    for (const auto& [name, value] : flowspec::ObjectMembers(object)) {
      absl::StrAppend(&key, key.empty() ? "" : "-", Word(value, items->items.size()));
    }
    items->items.push_back(object);
    items->keys.push_back(std::move(key));
  }
  if (run::Error error = AddKeys(items.get(), &out->keys_json); !error.ok()) return error;
  out->items_json = Joined(items->items);
  out->items = std::move(items);
  return {};
}

}  // namespace beamline::engine

// Escaping keeps "&" and "=" for the frame, so that no value can pass for another label.
#include "daemon/store/labels.h"

#include <algorithm>

namespace beamline::store {
namespace {

void Escape(std::string_view from, std::string* to) {
  for (char c : from) {
    switch (c) {
      case '%':
        *to += "%25";
        break;
      case '&':
        *to += "%26";
        break;
      case '=':
        *to += "%3d";
        break;
      default:
        *to += c;
    }
  }
}

std::string Unescape(std::string_view from) {
  std::string to;
  for (size_t i = 0; i < from.size(); ++i) {
    const std::string_view code = from.substr(i, 3);
    const char c = code == "%25" ? '%' : code == "%26" ? '&' : code == "%3d" ? '=' : '\0';
    to += c == '\0' ? from[i] : c;
    if (c != '\0') i += 2;
  }
  return to;
}

}  // namespace

std::string LabelsText(const run::Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += '&';
    Escape(key, &text);
    text += '=';
    Escape(value, &text);
  }
  if (!text.empty()) text += '&';
  return text;
}

run::Labels ParseLabels(std::string_view text) {
  run::Labels labels;
  while (text.size() > 1) {
    text.remove_prefix(1);  // the '&' before each label
    const std::string_view label = text.substr(0, text.find('&'));
    const size_t equals = label.find('=');
    if (equals != label.npos) {
      labels.emplace_back(Unescape(label.substr(0, equals)), Unescape(label.substr(equals + 1)));
    }
    text.remove_prefix(label.size());
  }
  return labels;
}

bool HasLabels(const run::Labels& labels, const run::Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  });
}

}  // namespace beamline::store

#include "places.h"

#include <string>

#include "log.h"

namespace tmoe::tensorrt {
namespace {

[[noreturn]] void refuse(const OperatorSpec &spec, const std::string &found) {
    std::string expected, never;
    for (const Port &port : spec.inputs) {
        std::string &list = port.presence == Presence::Never ? never : expected;
        list += (list.empty() ? "" : ", ") + std::string(port.name) + (port.presence == Presence::Optional ? " (optional)" : "");
    }
    throw Refusal(found + ", expected " + expected + (never.empty() ? "" : "; int8 weights and their scales are not supported"));
}

}  // namespace

Places find_places(const OperatorSpec &spec, std::int32_t count, std::uint32_t absent) {
    const std::int32_t ports = std::int32_t(spec.inputs.size());
    std::int32_t required = 0;
    for (const Port &port : spec.inputs) required += port.presence == Presence::Required;
    const std::string number = std::to_string(count) + " inputs were given";
    if (count < required || count > ports) refuse(spec, number);

    Places places;
    places.fill(kLeftOut);
    if (absent != 0 || count == ports) {
        for (std::int32_t i = 0; i < count; ++i)
            if ((absent >> i & 1) == 0) places[std::size_t(i)] = i;
    } else {
        std::int32_t next = 0, spare = count - required;
        for (std::size_t port = 0; port < std::size_t(ports); ++port) {
            const Presence presence = spec.inputs[port].presence;
            if (presence == Presence::Required || (presence == Presence::Optional && spare-- > 0)) places[port] = next++;
        }
        if (next != count) refuse(spec, number);
    }

    const char *left_out = nullptr;
    for (std::size_t i = 0; i < std::size_t(ports); ++i) {
        const Port &port = spec.inputs[i];
        const bool given = places[i] != kLeftOut;
        if (port.presence == Presence::Required && !given) refuse(spec, std::string(port.name) + " is left out");
        if (port.presence == Presence::Never && given) refuse(spec, std::string(port.name) + " is given");
        if (port.presence != Presence::Optional) continue;
        if (given && left_out != nullptr) refuse(spec, std::string(port.name) + " is given without " + left_out);
        if (!given) left_out = port.name;
    }
    return places;
}

}  // namespace tmoe::tensorrt

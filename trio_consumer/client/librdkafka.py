"""The few C functions of librdkafka that confluent-kafka does not hand out: those of its mock cluster.

Decides which shared library to use: the very one that the installed confluent-kafka is linked to, so that nothing is
loaded twice and the versions cannot differ. The extension module is asked first, since a symbol is looked up in what it
is linked to as well; then the library that the wheel brings along; then one of the system.

Every function is declared with its types; a wrong one would crash the process instead of raising. Nothing here is
called before `load`, and `load` imports nothing.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_int16, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

from ..errors import ConfigurationError

PRODUCER = 0
"""``RD_KAFKA_PRODUCER``"""

NO_ERROR = 0


class ErrorDescription(ctypes.Structure):
    """``struct rd_kafka_err_desc``"""

    _fields_ = (("code", c_int), ("name", c_char_p), ("description", c_char_p))


_DECLARATIONS: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_conf_new": (c_void_p, []),
    "rd_kafka_conf_destroy": (None, [c_void_p]),
    "rd_kafka_conf_set": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
    "rd_kafka_conf_set_log_cb": (None, [c_void_p, c_void_p]),
    "rd_kafka_new": (c_void_p, [c_int, c_void_p, c_char_p, c_size_t]),
    "rd_kafka_destroy": (None, [c_void_p]),
    "rd_kafka_err2name": (c_char_p, [c_int]),
    "rd_kafka_err2str": (c_char_p, [c_int]),
    "rd_kafka_get_err_descs": (None, [POINTER(POINTER(ErrorDescription)), POINTER(c_size_t)]),
    "rd_kafka_mock_cluster_new": (c_void_p, [c_void_p, c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [c_void_p]),
    "rd_kafka_mock_cluster_bootstraps": (c_char_p, [c_void_p]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [c_void_p, c_int32]),
    "rd_kafka_mock_set_group_consumer_session_timeout_ms": (None, [c_void_p, c_int]),
    "rd_kafka_mock_set_group_consumer_heartbeat_interval_ms": (None, [c_void_p, c_int]),
    "rd_kafka_mock_topic_create": (c_int, [c_void_p, c_char_p, c_int, c_int]),
    "rd_kafka_mock_topic_delete": (c_int, [c_void_p, c_char_p]),
    "rd_kafka_mock_partition_delete_records": (c_int, [c_void_p, c_char_p, c_int32, c_int64]),
    "rd_kafka_mock_partition_set_leader": (c_int, [c_void_p, c_char_p, c_int32, c_int32]),
    "rd_kafka_mock_push_request_errors_array": (None, [c_void_p, c_int16, c_size_t, POINTER(c_int)]),
    "rd_kafka_mock_clear_request_errors": (None, [c_void_p, c_int16]),
    # Variadic: an (int error, int milliseconds) pair for each request follows the declared arguments.
    "rd_kafka_mock_broker_push_request_error_rtts": (c_int, [c_void_p, c_int32, c_int16, c_size_t]),
    "rd_kafka_mock_broker_set_down": (c_int, [c_void_p, c_int32]),
    "rd_kafka_mock_broker_set_up": (c_int, [c_void_p, c_int32]),
    "rd_kafka_mock_broker_set_rtt": (c_int, [c_void_p, c_int32, c_int]),
    "rd_kafka_mock_coordinator_set": (c_int, [c_void_p, c_char_p, c_char_p, c_int32]),
    "rd_kafka_mock_start_request_tracking": (None, [c_void_p]),
    "rd_kafka_mock_get_requests": (POINTER(c_void_p), [c_void_p, POINTER(c_size_t)]),
    "rd_kafka_mock_request_destroy_array": (None, [POINTER(c_void_p), c_size_t]),
    "rd_kafka_mock_request_id": (c_int32, [c_void_p]),
    "rd_kafka_mock_request_api_key": (c_int16, [c_void_p]),
}


@functools.cache
def load() -> ctypes.CDLL:
    """The library, with every function that we call declared.

    Raises:
        ConfigurationError: None was found that has a mock cluster.
    """
    tried: list[str] = []
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
            for name, (result, arguments) in _DECLARATIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            tried.append(f"{candidate} ({error})")
        else:
            return library
    raise ConfigurationError(
        "no librdkafka with a mock cluster was found; install confluent-kafka >= 2.16 from a wheel. "
        f"Tried: {'; '.join(tried) or 'nothing, confluent-kafka is not installed'}"
    )


def _candidates() -> Iterator[str]:
    spec = importlib.util.find_spec("confluent_kafka")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        package = Path(folder)
        for place, pattern in (
            (package, "cimpl*.so"),
            (package.parent / "confluent_kafka.libs", "librdkafka*"),
            (package / ".dylibs", "librdkafka*.dylib"),
        ):
            yield from map(str, sorted(place.glob(pattern)))
    if system := ctypes.util.find_library("rdkafka"):
        yield system


@functools.cache
def error_codes() -> dict[str, int]:
    """Every error that librdkafka knows, by its name: Kafka's own, and with a leading underscore the client's."""
    descriptions, count = POINTER(ErrorDescription)(), c_size_t()
    load().rd_kafka_get_err_descs(ctypes.byref(descriptions), ctypes.byref(count))
    # The array is indexed by code and has holes without a name.
    return {one.name.decode(): one.code for one in descriptions[: count.value] if one.name}

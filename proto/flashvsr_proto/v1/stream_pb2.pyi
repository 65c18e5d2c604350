from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PixelFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_FORMAT_UNSPECIFIED: _ClassVar[PixelFormat]
    PIXEL_FORMAT_RGB24: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV420P: _ClassVar[PixelFormat]
    PIXEL_FORMAT_RGB48LE: _ClassVar[PixelFormat]

class ColorMatrix(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_MATRIX_UNSPECIFIED: _ClassVar[ColorMatrix]
    COLOR_MATRIX_BT601: _ClassVar[ColorMatrix]
    COLOR_MATRIX_BT709: _ClassVar[ColorMatrix]
    COLOR_MATRIX_BT2020: _ClassVar[ColorMatrix]

class ColorRange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_RANGE_UNSPECIFIED: _ClassVar[ColorRange]
    COLOR_RANGE_LIMITED: _ClassVar[ColorRange]
    COLOR_RANGE_FULL: _ClassVar[ColorRange]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    ERROR_CODE_INVALID_REQUEST: _ClassVar[ErrorCode]
    ERROR_CODE_UNSUPPORTED_VERSION: _ClassVar[ErrorCode]
    ERROR_CODE_NO_SESSION: _ClassVar[ErrorCode]
    ERROR_CODE_OUT_OF_ORDER: _ClassVar[ErrorCode]
    ERROR_CODE_BUSY: _ClassVar[ErrorCode]
    ERROR_CODE_TOO_LARGE: _ClassVar[ErrorCode]
    ERROR_CODE_SESSION_LOST: _ClassVar[ErrorCode]
    ERROR_CODE_INTERNAL: _ClassVar[ErrorCode]
    ERROR_CODE_DRAINING: _ClassVar[ErrorCode]
    ERROR_CODE_UNAUTHENTICATED: _ClassVar[ErrorCode]
PIXEL_FORMAT_UNSPECIFIED: PixelFormat
PIXEL_FORMAT_RGB24: PixelFormat
PIXEL_FORMAT_YUV420P: PixelFormat
PIXEL_FORMAT_RGB48LE: PixelFormat
COLOR_MATRIX_UNSPECIFIED: ColorMatrix
COLOR_MATRIX_BT601: ColorMatrix
COLOR_MATRIX_BT709: ColorMatrix
COLOR_MATRIX_BT2020: ColorMatrix
COLOR_RANGE_UNSPECIFIED: ColorRange
COLOR_RANGE_LIMITED: ColorRange
COLOR_RANGE_FULL: ColorRange
ERROR_CODE_UNSPECIFIED: ErrorCode
ERROR_CODE_INVALID_REQUEST: ErrorCode
ERROR_CODE_UNSUPPORTED_VERSION: ErrorCode
ERROR_CODE_NO_SESSION: ErrorCode
ERROR_CODE_OUT_OF_ORDER: ErrorCode
ERROR_CODE_BUSY: ErrorCode
ERROR_CODE_TOO_LARGE: ErrorCode
ERROR_CODE_SESSION_LOST: ErrorCode
ERROR_CODE_INTERNAL: ErrorCode
ERROR_CODE_DRAINING: ErrorCode
ERROR_CODE_UNAUTHENTICATED: ErrorCode

class StreamRequest(_message.Message):
    __slots__ = ("protocol_version", "session_id", "chunk_index", "token", "open", "frames", "flush", "close", "ping", "clip")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    session_id: str
    chunk_index: int
    token: str
    open: Open
    frames: Frames
    flush: Flush
    close: Close
    ping: Ping
    clip: Clip
    def __init__(self, protocol_version: _Optional[int] = ..., session_id: _Optional[str] = ..., chunk_index: _Optional[int] = ..., token: _Optional[str] = ..., open: _Optional[_Union[Open, _Mapping[str, object]]] = ..., frames: _Optional[_Union[Frames, _Mapping[str, object]]] = ..., flush: _Optional[_Union[Flush, _Mapping[str, object]]] = ..., close: _Optional[_Union[Close, _Mapping[str, object]]] = ..., ping: _Optional[_Union[Ping, _Mapping[str, object]]] = ..., clip: _Optional[_Union[Clip, _Mapping[str, object]]] = ...) -> None: ...

class StreamResponse(_message.Message):
    __slots__ = ("session_id", "chunk_index", "opened", "accepted", "frames", "done", "closed", "pong", "error", "timings")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    chunk_index: int
    opened: Opened
    accepted: Accepted
    frames: Frames
    done: Done
    closed: Closed
    pong: Pong
    error: Error
    timings: Timings
    def __init__(self, session_id: _Optional[str] = ..., chunk_index: _Optional[int] = ..., opened: _Optional[_Union[Opened, _Mapping[str, object]]] = ..., accepted: _Optional[_Union[Accepted, _Mapping[str, object]]] = ..., frames: _Optional[_Union[Frames, _Mapping[str, object]]] = ..., done: _Optional[_Union[Done, _Mapping[str, object]]] = ..., closed: _Optional[_Union[Closed, _Mapping[str, object]]] = ..., pong: _Optional[_Union[Pong, _Mapping[str, object]]] = ..., error: _Optional[_Union[Error, _Mapping[str, object]]] = ..., timings: _Optional[_Union[Timings, _Mapping[str, object]]] = ...) -> None: ...

class ColorTags(_message.Message):
    __slots__ = ("matrix", "range")
    MATRIX_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    matrix: ColorMatrix
    range: ColorRange
    def __init__(self, matrix: _Optional[_Union[ColorMatrix, str]] = ..., range: _Optional[_Union[ColorRange, str]] = ...) -> None: ...

class Frames(_message.Message):
    __slots__ = ("pixel_format", "width", "height", "count", "color", "planes", "first_frame")
    PIXEL_FORMAT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    PLANES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    pixel_format: PixelFormat
    width: int
    height: int
    count: int
    color: ColorTags
    planes: _containers.RepeatedScalarFieldContainer[bytes]
    first_frame: int
    def __init__(self, pixel_format: _Optional[_Union[PixelFormat, str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., count: _Optional[int] = ..., color: _Optional[_Union[ColorTags, _Mapping[str, object]]] = ..., planes: _Optional[_Iterable[bytes]] = ..., first_frame: _Optional[int] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("width", "height", "scale", "fps", "output_format", "output_color", "seed", "first_frame", "oldest_protocol_version")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COLOR_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    OLDEST_PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    scale: int
    fps: float
    output_format: PixelFormat
    output_color: ColorTags
    seed: int
    first_frame: int
    oldest_protocol_version: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., scale: _Optional[int] = ..., fps: _Optional[float] = ..., output_format: _Optional[_Union[PixelFormat, str]] = ..., output_color: _Optional[_Union[ColorTags, _Mapping[str, object]]] = ..., seed: _Optional[int] = ..., first_frame: _Optional[int] = ..., oldest_protocol_version: _Optional[int] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("output_width", "output_height", "first_chunk", "chunk", "look_ahead", "max_chunk_frames", "state_bytes", "idle_timeout_ms", "model", "first_frame", "protocol_version", "direct_port")
    OUTPUT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FIRST_CHUNK_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LOOK_AHEAD_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_FRAMES_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIRECT_PORT_FIELD_NUMBER: _ClassVar[int]
    output_width: int
    output_height: int
    first_chunk: int
    chunk: int
    look_ahead: int
    max_chunk_frames: int
    state_bytes: int
    idle_timeout_ms: int
    model: str
    first_frame: int
    protocol_version: int
    direct_port: int
    def __init__(self, output_width: _Optional[int] = ..., output_height: _Optional[int] = ..., first_chunk: _Optional[int] = ..., chunk: _Optional[int] = ..., look_ahead: _Optional[int] = ..., max_chunk_frames: _Optional[int] = ..., state_bytes: _Optional[int] = ..., idle_timeout_ms: _Optional[int] = ..., model: _Optional[str] = ..., first_frame: _Optional[int] = ..., protocol_version: _Optional[int] = ..., direct_port: _Optional[int] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("queued",)
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    queued: int
    def __init__(self, queued: _Optional[int] = ...) -> None: ...

class Flush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Done(_message.Message):
    __slots__ = ("frames", "frames_in", "frames_out", "drain_ms")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_IN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_OUT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_MS_FIELD_NUMBER: _ClassVar[int]
    frames: int
    frames_in: int
    frames_out: int
    drain_ms: int
    def __init__(self, frames: _Optional[int] = ..., frames_in: _Optional[int] = ..., frames_out: _Optional[int] = ..., drain_ms: _Optional[int] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Closed(_message.Message):
    __slots__ = ("frames_in", "frames_out")
    FRAMES_IN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_OUT_FIELD_NUMBER: _ClassVar[int]
    frames_in: int
    frames_out: int
    def __init__(self, frames_in: _Optional[int] = ..., frames_out: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pong(_message.Message):
    __slots__ = ("protocol_version", "model", "device", "sessions", "max_sessions", "state_bytes", "state_bytes_budget", "models", "warm", "oldest_protocol_version", "direct_port", "draining", "parked")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_BUDGET_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    WARM_FIELD_NUMBER: _ClassVar[int]
    OLDEST_PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIRECT_PORT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    model: str
    device: str
    sessions: int
    max_sessions: int
    state_bytes: int
    state_bytes_budget: int
    models: _containers.RepeatedScalarFieldContainer[str]
    warm: bool
    oldest_protocol_version: int
    direct_port: int
    draining: bool
    parked: int
    def __init__(self, protocol_version: _Optional[int] = ..., model: _Optional[str] = ..., device: _Optional[str] = ..., sessions: _Optional[int] = ..., max_sessions: _Optional[int] = ..., state_bytes: _Optional[int] = ..., state_bytes_budget: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., warm: bool = ..., oldest_protocol_version: _Optional[int] = ..., direct_port: _Optional[int] = ..., draining: bool = ..., parked: _Optional[int] = ...) -> None: ...

class Clip(_message.Message):
    __slots__ = ("open", "frames")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    open: Open
    frames: Frames
    def __init__(self, open: _Optional[_Union[Open, _Mapping[str, object]]] = ..., frames: _Optional[_Union[Frames, _Mapping[str, object]]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "retryable", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    retryable: bool
    retry_after_ms: int
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., retryable: bool = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue_us", "decode_us", "engine_us", "encode_us", "send_us")
    QUEUE_US_FIELD_NUMBER: _ClassVar[int]
    DECODE_US_FIELD_NUMBER: _ClassVar[int]
    ENGINE_US_FIELD_NUMBER: _ClassVar[int]
    ENCODE_US_FIELD_NUMBER: _ClassVar[int]
    SEND_US_FIELD_NUMBER: _ClassVar[int]
    queue_us: int
    decode_us: int
    engine_us: int
    encode_us: int
    send_us: int
    def __init__(self, queue_us: _Optional[int] = ..., decode_us: _Optional[int] = ..., engine_us: _Optional[int] = ..., encode_us: _Optional[int] = ..., send_us: _Optional[int] = ...) -> None: ...

"""Prints the events of a TensorBoard file as JSON, read by Google's protobuf with the fields of event.proto and summary.proto."""
import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool

try:
    from google.protobuf.message_factory import GetMessageClass as message_of
except ImportError:
    from google.protobuf.message_factory import MessageFactory

    message_of = MessageFactory().GetPrototype

Field = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="tensorboard", syntax="proto3")
messages = {
    "Value": [("tag", 1, Field.TYPE_STRING, None), ("simple_value", 2, Field.TYPE_FLOAT, None)],
    "Summary": [("value", 1, Field.TYPE_MESSAGE, "Value")],
    "Event": [
        ("wall_time", 1, Field.TYPE_DOUBLE, None),
        ("step", 2, Field.TYPE_INT64, None),
        ("file_version", 3, Field.TYPE_STRING, None),
        ("summary", 5, Field.TYPE_MESSAGE, "Summary"),
    ],
}
for name, fields in messages.items():
    message = file.message_type.add(name=name)
    for field, number, kind, of in fields:
        label = Field.LABEL_REPEATED if of == "Value" else Field.LABEL_OPTIONAL
        added = message.field.add(name=field, number=number, type=kind, label=label)
        if of:
            added.type_name = f".tensorboard.{of}"
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Event = message_of(pool.FindMessageTypeByName("tensorboard.Event"))

content = open(sys.argv[1], "rb").read()
events, at = [], 0
while at < len(content):
    (length,) = struct.unpack_from("<Q", content, at)
    event = Event.FromString(content[at + 12 : at + 12 + length])
    at += 16 + length
    values = {value.tag: value.simple_value for value in event.summary.value}
    events.append([event.wall_time, event.step, event.file_version, values])
print(json.dumps(events))

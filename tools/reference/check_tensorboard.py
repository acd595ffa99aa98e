"""Event files as TensorBoard itself writes and reads them.

    pip install tensorboard==2.21.0
    python3 check_tensorboard.py                       the bytes in tests/train/tensorboard_test.cc
    python3 check_tensorboard.py RUN/train/tensorboard what TensorBoard reads: step, time, tag, value
"""
import io
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def record(event):
    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString(deterministic=True))
    return file.getvalue().hex()


if len(sys.argv) == 1:
    print(record(Event(wall_time=1.5, file_version="brain.Event:2")))
    values = [Summary.Value(tag="loss/train", simple_value=0.5), Summary.Value(tag="a", simple_value=-1)]
    print(record(Event(wall_time=2.25, step=300, summary=Summary(value=values))))
else:
    accumulator = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
    accumulator.Reload()
    for tag in sorted(accumulator.Tags()["scalars"]):
        for event in accumulator.Scalars(tag):
            print(event.step, event.wall_time, tag, event.value)

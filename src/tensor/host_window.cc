#include "tensor/host_window.h"

#include "base/error.h"

namespace nativo::tensor {
namespace {

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::size_t HostWindow::bytes_for(std::size_t piece_bytes) {
  return Arena::capacity_for(2 * aligned(piece_bytes));
}

HostWindow::HostWindow(const Device& device, std::size_t piece_bytes, std::string_view what)
    : device_(device),
      memory_(device),
      size_(aligned(piece_bytes)),
      in_(device),
      out_(device),
      buffers_{Buffer(device), Buffer(device)} {
  memory_.reserve(2 * size_, what);
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    buffers_[i].memory = memory_.data() + i * size_;
  }
}

void HostWindow::open(std::span<const std::span<std::byte>> ranges, std::span<std::byte*> places) {
  NATIVO_CHECK(ranges.size() <= kMostRanges && ranges.size() == places.size(), "a few ranges");
  Buffer& buffer = buffers_[next_];
  if (buffer.was_used) buffer.left.block(in_.handle());
  std::size_t at = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    NATIVO_CHECK(at + aligned(ranges[i].size()) <= size_, "a piece fits its buffer");
    places[i] = buffer.memory + at;
    buffer.copies[i] = {ranges[i], places[i]};
    copy_bytes_async(places[i], ranges[i].data(), ranges[i].size(), in_.handle());
    at += aligned(ranges[i].size());
  }
  buffer.count = ranges.size();
  buffer.arrived.record(in_.handle());
  buffer.arrived.block(compute_stream(device_));
}

void HostWindow::close() {
  Buffer& buffer = buffers_[next_];
  buffer.used.record(compute_stream(device_));
  buffer.used.block(out_.handle());
  for (const Copy& copy : std::span(buffer.copies).first(buffer.count)) {
    copy_bytes_async(copy.host.data(), copy.there, copy.host.size(), out_.handle());
  }
  buffer.left.record(out_.handle());
  buffer.was_used = true;
  next_ = 1 - next_;
}

void HostWindow::finish() {
  const Buffer& last = buffers_[1 - next_];  // what goes back goes in order
  if (!last.was_used) return;
  last.left.block(compute_stream(device_));
  last.left.block(in_.handle());
}

}  // namespace nativo::tensor

// stream.cpp: queues, dependencies between streams, and capture.

#include "stream.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "context.h"
#include "handles.h"
#include "mode.h"

namespace host
{
namespace
{
std::shared_ptr<Stream> legacy_stream()
{
    static auto stream = std::make_shared<Stream>();
    return stream;
}

std::shared_ptr<Stream> thread_stream()
{
    static thread_local auto stream = std::make_shared<Stream>();
    return stream;
}

// Every stream that may have work, the oldest first.
std::vector<std::shared_ptr<Stream>> all_streams()
{
    std::vector<std::shared_ptr<Stream>> all = {legacy_stream(), thread_stream()};
    for (const auto& [handle, stream] : streams().all()) all.push_back(stream);
    return all;
}

void run_first(Stream& stream)
{
    Queued first = std::move(stream.queue.front());
    stream.queue.pop_front();
    for (const Point& point : first.after) drain(point);
    // After the first error nothing runs any more, as on a device.
    if (primary_context().error == CUDA_SUCCESS) latch(first.work.run());
    stream.done++;
}

// The legacy stream waits for all blocking streams, and they for it.
void add_default_dependencies(const std::shared_ptr<Stream>& stream, Queued& queued)
{
    if (!stream->blocking) return;
    if (stream != legacy_stream())
    {
        if (legacy_stream()->submitted != legacy_stream()->done) queued.after.push_back({legacy_stream(), legacy_stream()->submitted});
        return;
    }
    for (const auto& other : all_streams())
    {
        if (other != stream && other->blocking && other->submitted != other->done) queued.after.push_back({other, other->submitted});
    }
}

bool spoils(const Capture& capture)
{
    return capture.mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
        (capture.mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && capture.thread == std::this_thread::get_id());
}
}

std::shared_ptr<Stream> stream_of(void* handle)
{
    auto number = reinterpret_cast<uintptr_t>(handle);
    return number <= 1 ? legacy_stream() : number == 2 ? thread_stream() : streams().find(handle);
}

CUresult submit(const std::shared_ptr<Stream>& stream, Work work)
{
    if (stream->capture != nullptr)
    {
        if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (stream != stream->capture->origin) stream->capture->unjoined.insert(stream.get());
        stream->capture->graph->work.push_back(std::move(work));
        return CUDA_SUCCESS;
    }
    if (stream == legacy_stream())
    {
        for (const auto& other : all_streams())
        {
            if (other->capture == nullptr || !other->blocking) continue;
            other->capture->invalid = true;
            return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    }
    Queued queued{std::move(work), std::move(stream->next_after)};
    stream->next_after.clear();
    add_default_dependencies(stream, queued);
    stream->queue.push_back(std::move(queued));
    stream->submitted++;
    if (!mode().late) drain(stream);
    return CUDA_SUCCESS;
}

void drain(const Point& point)
{
    while (point.stream->done < point.number && !point.stream->queue.empty()) run_first(*point.stream);
}

void drain(const std::shared_ptr<Stream>& stream)
{
    drain(Point{stream, stream->submitted});
    for (const Point& point : stream->next_after) drain(point);
    stream->next_after.clear();
}

void drain_all()
{
    for (const auto& stream : all_streams()) drain(stream);
}

bool poll(const Point& point)
{
    if (point.stream->done >= point.number) return true;
    run_first(*point.stream);
    return false;
}

CUresult forbid_in_capture()
{
    for (const auto& stream : all_streams())
    {
        if (stream->capture == nullptr || !spoils(*stream->capture)) continue;
        stream->capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return CUDA_SUCCESS;
}

CUresult forbid_capturing(Stream& stream)
{
    if (stream.capture == nullptr) return CUDA_SUCCESS;
    stream.capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}
}

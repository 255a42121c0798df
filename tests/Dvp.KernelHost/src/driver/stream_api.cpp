// stream_api.cpp: streams and events.

#include <chrono>

#include "context.h"
#include "handles.h"

using namespace host;

namespace
{
double now()
{
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Body>
CUresult with_stream(void* handle, Body body)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(handle);
        return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(stream);
    });
}

template <class Body>
CUresult with_event(void* handle, Body body)
{
    return in_context([&]
    {
        std::shared_ptr<Event> event = events().find(handle);
        return event == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(event);
    });
}

CUresult wait_captured(const std::shared_ptr<Stream>& stream, const Event& event)
{
    if (event.capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->capture == nullptr)
    {
        stream->capture = event.capture;
        event.capture->unjoined.insert(stream.get());
    }
    else if (stream->capture != event.capture)
    {
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    if (event.point.stream != stream) event.capture->unjoined.erase(event.point.stream.get());
    return CUDA_SUCCESS;
}
}

EXPORT CUresult cuStreamCreate(void** handle, unsigned flags)
{
    return in_context([&]
    {
        if (handle == nullptr || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
        auto stream = std::make_shared<Stream>();
        stream->blocking = flags != CU_STREAM_NON_BLOCKING;
        *handle = streams().add(stream);
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuStreamCreateWithPriority(void** handle, unsigned flags, int) { return cuStreamCreate(handle, flags); }

EXPORT CUresult cuStreamDestroy_v2(void* handle)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = streams().find(handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (stream->capture != nullptr) stream->capture->invalid = true;
        drain(stream); // its work is still done
        streams().remove(handle);
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuStreamDestroy(void* handle) { return cuStreamDestroy_v2(handle); }

EXPORT CUresult cuStreamSynchronize(void* handle)
{
    return with_stream(handle, [](const std::shared_ptr<Stream>& stream)
    {
        if (CUresult status = forbid_capturing(*stream); status != CUDA_SUCCESS) return status;
        if (fails("sync")) latch(CUDA_ERROR_LAUNCH_FAILED);
        drain(stream);
        return primary_context().error;
    });
}

EXPORT CUresult cuStreamQuery(void* handle)
{
    return with_stream(handle, [](const std::shared_ptr<Stream>& stream)
    {
        if (CUresult status = forbid_capturing(*stream); status != CUDA_SUCCESS) return status;
        if (!poll({stream, stream->submitted})) return primary_context().error != CUDA_SUCCESS ? primary_context().error : CUDA_ERROR_NOT_READY;
        return primary_context().error;
    });
}

EXPORT CUresult cuStreamWaitEvent(void* handle, void* event_handle, unsigned)
{
    return with_stream(handle, [&](const std::shared_ptr<Stream>& stream)
    {
        std::shared_ptr<Event> event = events().find(event_handle);
        if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (event->capture != nullptr) return wait_captured(stream, *event);
        if (stream->capture != nullptr && event->point.stream != nullptr) return CUDA_SUCCESS; // recorded before the capture: not part of it
        if (event->point.stream != nullptr) stream->next_after.push_back(event->point);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuEventCreate(void** handle, unsigned flags)
{
    return in_context([&]
    {
        if (handle == nullptr || flags > 7) return CUDA_ERROR_INVALID_VALUE;
        auto event = std::make_shared<Event>();
        event->timing = (flags & CU_EVENT_DISABLE_TIMING) == 0;
        *handle = events().add(event);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuEventDestroy_v2(void* handle)
{
    return in_context([&] { return events().remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}
EXPORT CUresult cuEventDestroy(void* handle) { return cuEventDestroy_v2(handle); }

EXPORT CUresult cuEventRecord(void* handle, void* stream_handle)
{
    return with_event(handle, [&](const std::shared_ptr<Event>& event)
    {
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        event->capture = stream->capture;
        event->point = {stream, 0};
        if (stream->capture != nullptr) return CUDA_SUCCESS;
        CUresult status = submit(stream, {WorkKind::Other, [event] { return event->milliseconds = now(), CUDA_SUCCESS; }});
        event->point.number = stream->submitted;
        return status;
    });
}

EXPORT CUresult cuEventSynchronize(void* handle)
{
    return with_event(handle, [](const std::shared_ptr<Event>& event)
    {
        if (event->capture != nullptr) return CUDA_ERROR_CAPTURED_EVENT;
        if (event->point.stream != nullptr) drain(event->point);
        return primary_context().error;
    });
}

EXPORT CUresult cuEventQuery(void* handle)
{
    return with_event(handle, [](const std::shared_ptr<Event>& event)
    {
        if (event->capture != nullptr) return CUDA_ERROR_CAPTURED_EVENT;
        bool done = event->point.stream == nullptr || poll(event->point);
        return primary_context().error != CUDA_SUCCESS ? primary_context().error : done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
    });
}

EXPORT CUresult cuEventElapsedTime(float* milliseconds, void* first_handle, void* last_handle)
{
    return in_context([&]
    {
        std::shared_ptr<Event> first = events().find(first_handle), last = events().find(last_handle);
        if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
        if (first == nullptr || last == nullptr || !first->timing || !last->timing) return CUDA_ERROR_INVALID_HANDLE;
        if (first->point.stream == nullptr || last->point.stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        bool done = first->point.stream->done >= first->point.number && last->point.stream->done >= last->point.number;
        if (!done) return CUDA_ERROR_NOT_READY;
        *milliseconds = static_cast<float>(last->milliseconds - first->milliseconds);
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuEventElapsedTime_v2(float* milliseconds, void* first, void* last) { return cuEventElapsedTime(milliseconds, first, last); }

// graph_api.cpp: capture of a stream's work into a graph, and its replay.

#include "context.h"
#include "counters.h"
#include "handles.h"

using namespace host;

EXPORT CUresult cuStreamBeginCapture_v2(void* handle, CaptureMode mode)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (stream == stream_of(nullptr)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; // the legacy stream
        if (stream->capture != nullptr || mode < 0 || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
        stream->capture = std::make_shared<Capture>();
        stream->capture->origin = stream;
        stream->capture->mode = mode;
        stream->capture->thread = std::this_thread::get_id();
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuStreamEndCapture(void* handle, void** graph)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(handle);
        if (stream == nullptr || graph == nullptr) return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        std::shared_ptr<Capture> capture = stream->capture;
        *graph = nullptr;
        if (capture == nullptr) return CUDA_ERROR_INVALID_VALUE;
        if (capture->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
        if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id()) return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;

        stream->capture = nullptr;
        for (const auto& [other_handle, other] : streams().all()) if (other->capture == capture) other->capture = nullptr;
        for (const auto& [event_handle, event] : events().all())
        {
            if (event->capture == capture) event->capture = nullptr, event->point = {};
        }
        if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (!capture->unjoined.empty()) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
        *graph = graphs().add(capture->graph);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuStreamIsCapturing(void* handle, CaptureStatus* status)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(handle);
        if (stream == nullptr || status == nullptr) return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        *status = stream->capture == nullptr ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuThreadExchangeStreamCaptureMode(CaptureMode* mode)
{
    return in_context([&] { return mode == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; });
}

EXPORT CUresult cuGraphInstantiateWithFlags(void** exec, void* graph_handle, unsigned long long)
{
    return in_context([&]
    {
        std::shared_ptr<Graph> graph = graphs().find(graph_handle);
        if (graph == nullptr || exec == nullptr) return graph == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        if (fails("graph")) return CUDA_ERROR_OUT_OF_MEMORY;
        auto ready = std::make_shared<GraphExec>();
        ready->work = graph->work;
        *exec = graph_execs().add(ready);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuGraphLaunch(void* exec_handle, void* stream_handle)
{
    return in_context([&]
    {
        std::shared_ptr<GraphExec> exec = graph_execs().find(exec_handle);
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (exec == nullptr || stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (fails("launch")) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
        return submit(stream, {WorkKind::Other, [exec]
        {
            counters().graph_launches++;
            for (const Work& work : exec->work)
            {
                if (CUresult status = work.run(); status != CUDA_SUCCESS) return status;
            }
            return CUDA_SUCCESS;
        }});
    });
}

EXPORT CUresult cuGraphUpload(void* exec, void*)
{
    return in_context([&] { return graph_execs().find(exec) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS; });
}

EXPORT CUresult cuGraphGetNodes(void* graph_handle, void** nodes, size_t* count)
{
    return in_context([&]
    {
        std::shared_ptr<Graph> graph = graphs().find(graph_handle);
        if (graph == nullptr || count == nullptr) return graph == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        size_t room = nodes == nullptr ? 0 : *count;
        for (size_t i = 0; i < room && i < graph->work.size(); i++) nodes[i] = &graph->work[i];
        if (nodes == nullptr || room > graph->work.size()) *count = graph->work.size();
        return CUDA_SUCCESS;
    });
}

// A node's handle comes from cuGraphGetNodes and lives as long as the graph.
EXPORT CUresult cuGraphNodeGetType(void* node, int* type)
{
    return in_context([&]
    {
        for (const auto& [handle, graph] : graphs().all())
        {
            for (const Work& work : graph->work)
            {
                if (&work == node) return type == nullptr ? CUDA_ERROR_INVALID_VALUE : (*type = static_cast<int>(work.kind), CUDA_SUCCESS);
            }
        }
        return CUDA_ERROR_INVALID_HANDLE;
    });
}

EXPORT CUresult cuGraphExecDestroy(void* exec)
{
    return in_context([&] { return graph_execs().remove(exec) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}

EXPORT CUresult cuGraphDestroy(void* graph)
{
    return in_context([&] { return graphs().remove(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}

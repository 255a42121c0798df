// stream.h: work in order, and what waits for what.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "api.h"

namespace host
{
struct Stream;

// A point in a stream: everything up to and with the work of this number.
struct Point
{
    std::shared_ptr<Stream> stream;
    unsigned long long number = 0;
};

enum class WorkKind { Launch = 0, Copy = 1, Fill = 2, Other = 5 }; // numbers of CUgraphNodeType

struct Work
{
    WorkKind kind;
    std::function<CUresult()> run;
};

// What a capture has recorded, in an order that respects all its dependencies.
struct Graph
{
    std::vector<Work> work;
};

struct Capture
{
    std::shared_ptr<Stream> origin;
    CaptureMode mode;
    std::thread::id thread;
    bool invalid = false;
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    std::set<Stream*> unjoined; // streams that came in by an event and whose last work nobody waits for yet
};

struct Queued
{
    Work work;
    std::vector<Point> after;
};

struct Stream : std::enable_shared_from_this<Stream>
{
    bool blocking = true; // synchronises with the legacy default stream
    std::deque<Queued> queue;
    unsigned long long submitted = 0, done = 0; // numbers of the last work
    std::shared_ptr<Capture> capture;
    std::vector<Point> next_after; // waits that the next work has to obey
};

// Streams by handle; 0 and 1 are the legacy default stream, 2 is the calling thread's. Null when there is none such.
std::shared_ptr<Stream> stream_of(void* handle);

// Puts work into a stream, or into the graph that it is being captured into. Runs it at once but in the mode late.
CUresult submit(const std::shared_ptr<Stream>& stream, Work work);

// Runs what is queued up to a point, and what that waits for.
void drain(const Point& point);
void drain(const std::shared_ptr<Stream>& stream);
void drain_all();

// As cuStreamQuery: lets one piece of work go on, and says whether all is done.
bool poll(const Point& point);

// An error where a capture forbids a call that waits or allocates; the capture is then spoilt.
CUresult forbid_in_capture();

// The same for one stream that must not be waited for while it is captured.
CUresult forbid_capturing(Stream& stream);
}

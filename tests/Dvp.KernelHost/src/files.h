// files.h: temporary folders and running a program.

#pragma once

#include <string>
#include <vector>

namespace host
{
// A folder that goes with its owner.
class TemporaryFolder
{
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string path(const std::string& name) const { return _path + "/" + name; }

    // Writes a file, with the folders that its name holds.
    std::string write(const std::string& name, const std::string& content) const;

private:
    std::string _path;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& content);

struct Outcome
{
    int status;         // exit status, 127 when the program could not be started
    std::string output; // standard output and error
};

// Runs a program found on PATH and waits for it.
Outcome run(const std::vector<std::string>& command);
}

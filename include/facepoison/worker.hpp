#pragma once
#include "facepoison/memory.hpp"
#include "facepoison/threads.hpp"

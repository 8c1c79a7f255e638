// The antialiased filters' launch, in a file of its own: it compiles the longest.
#pragma once

#include "image.h"

namespace ev::cuda {

template <class T>
void launch_antialias(const ImagePlace* places, int count, const ImageRule& rule, Stream stream);

}  // namespace ev::cuda

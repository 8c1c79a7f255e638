// How one source serves every instruction set.
//
// A kernel's source is compiled once for each, with EV_ISA as the namespace of everything it defines;
// ev/kernels.h gathers them in tables. Small functions in headers have internal linkage: a function that two
// compilations share by name is one function to the linker, which may keep the one with instructions that the
// processor lacks.
#pragma once

#if !defined(EV_ISA)
#define EV_ISA undispatched  // declared and not defined: callers go through kernels()
#endif

// The arithmetic on one pixel or box is compiled for processors and, under nvcc, for the GPU as well.
#if defined(__CUDACC__)
#define EV_HD __host__ __device__
#else
#define EV_HD
#endif
#define EV_INLINE EV_HD static inline

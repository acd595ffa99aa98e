// Marks functions that are compiled for the processor and for GPUs. The one place that asks which
// compiler is at work. Rule: such a function is a formula of a few lines, tested on the processor.
#pragma once

#ifdef __CUDACC__
#define NATIVO_HD __host__ __device__
#else
#define NATIVO_HD
#endif

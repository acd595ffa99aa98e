// Which instruction sets Highway compiles each kernel for: the baseline, AVX2 and AVX-512. The ones
// in between cost compile time and are on no machine that matters. Rule: include before any hwy
// header.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)

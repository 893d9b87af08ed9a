/* machine.h - what this machine can do, measured: the limits that `dlc bench` shows beside a function. */
#ifndef DLC_MACHINE_H
#define DLC_MACHINE_H

typedef struct MachineLimits {
    double f32_flops;           /* fused multiply-adds in registers, floating-point operations a second, all threads */
    double read_bytes;          /* streaming reads of memory larger than the last cache, bytes a second, all threads */
    char   cpu[64];             /* "AMD EPYC family 26 model 2" */
} MachineLimits;

/* Takes about 0.3 s. threads >= 1. */
void machine_measure(int threads, MachineLimits *m);

#endif

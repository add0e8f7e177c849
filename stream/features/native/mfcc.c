/* MFCC of one window after another: window, real transform, power, mel bands, logarithm, DCT.
 *
 * Every frame is computed by the same instructions in the same order, whatever was or will be computed beside it,
 * so a row's bits do not depend on chunking. Loops run over independent lanes and nothing is reassociated or
 * contracted (build with -ffp-contract=off): the bits do not depend on the width of the vectors either.
 *
 * The transform is in double: a float one puts rounding noise above the logarithm's floor beside a full-scale tone.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(WIDE) /* given by the builder */
#elif defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default"))) /* the processor's best, chosen at load */
#else
#define WIDE
#endif
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

enum { VERSION = 3, LANES = 8, COLUMNS = 16 }; /* of Plan; partial sums of a mel band; coefficients computed together */

/* Sizes, tables and scratch of one stream; all memory is the caller's. */
typedef struct {
    int32_t n_fft, n_mels, width;
    int32_t rows, columns;      /* the transform of n_fft / 2 complex numbers, laid out as rows x columns */
    int32_t padded;             /* width rounded up to COLUMNS; 0 = no DCT */
    float floor, scale;         /* of the mel power; of its logarithm where there is no DCT */
    const double *window;       /* (2, n_fft / 2), even samples, then odd; 0 outside win_length */
    const double *row_turns;    /* stage by stage, p = 1 ...: 3 turns, re and im */
    const double *column_turns; /* the same for the second pass */
    const double *cross;        /* (2, rows, columns) turns between the passes, re then im */
    const double *last;         /* (2, n_fft / 4) turns that part the two halves of the spectrum */
    const int32_t *bands;       /* (n_mels, 3): first bin, blocks of LANES, where its weights begin */
    const float *weights;       /* zero behind a band's end */
    const float *dct;           /* (n_mels, padded) */
    double *a, *b;              /* (2, n_fft / 2) and 4 more: real parts, then imaginary */
    float *power;               /* (n_fft / 2 + 1 + LANES,), finite behind the last bin */
    float *mel;                 /* (n_mels,) */
} Plan;

/* Vectors by hand: compilers give up on the strides below. On narrower machines each becomes several. */
typedef double Four __attribute__((vector_size(32)));
typedef double FourAnywhere __attribute__((vector_size(32), aligned(8), may_alias));
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));
typedef float Eight __attribute__((vector_size(32)));
typedef float EightAnywhere __attribute__((vector_size(32), aligned(4), may_alias));

#define LOAD(from) ((Four)(*(const FourAnywhere *)(from)))
#define STORE(to, value) (*(FourAnywhere *)(to) = (value))
#define REVERSED(v) __builtin_shufflevector(v, v, 3, 2, 1, 0)

/* One stage's butterflies of radix 4 for one p: `s` lanes, inputs `step` apart; w holds three turns, or is NULL. */
INLINE void butterflies(const double *xr, const double *xi, double *yr, double *yi, ptrdiff_t s, ptrdiff_t step,
                        const double *w)
{
    for (ptrdiff_t q = 0; q < s; q += 4) {
        const Four ar = LOAD(xr + q), br = LOAD(xr + q + step), cr = LOAD(xr + q + 2 * step),
                   dr = LOAD(xr + q + 3 * step);
        const Four ai = LOAD(xi + q), bi = LOAD(xi + q + step), ci = LOAD(xi + q + 2 * step),
                   di = LOAD(xi + q + 3 * step);
        const Four pr = ar + cr, pi = ai + ci, mr = ar - cr, mi = ai - ci;
        const Four sr = br + dr, si = bi + di, jr = di - bi, ji = br - dr; /* j (b - d) */
        const Four er = mr - jr, ei = mi - ji, fr = pr - sr, fi = pi - si, gr = mr + jr, gi = mi + ji;
        STORE(yr + q, pr + sr), STORE(yi + q, pi + si);
        STORE(yr + q + s, w ? w[0] * er - w[1] * ei : er), STORE(yi + q + s, w ? w[0] * ei + w[1] * er : ei);
        STORE(yr + q + 2 * s, w ? w[2] * fr - w[3] * fi : fr), STORE(yi + q + 2 * s, w ? w[2] * fi + w[3] * fr : fi);
        STORE(yr + q + 3 * s, w ? w[4] * gr - w[5] * gi : gr), STORE(yi + q + 3 * s, w ? w[4] * gi + w[5] * gr : gi);
    }
}

/* Stockham's transform of length n along the slow axis of x (n, lanes), imaginary parts `half` behind the real ones.
 * Radix 4, and a last stage of 2 where n is no power of 4. Writes to both; returns the one with the result. */
INLINE double *transform(ptrdiff_t n, ptrdiff_t lanes, ptrdiff_t half, double *x, double *y, const double *turns)
{
    ptrdiff_t s = lanes;
    for (; n >= 4; n /= 4, s *= 4) {
        const ptrdiff_t quarter = n / 4, step = s * quarter;
        butterflies(x, x + half, y, y + half, s, step, NULL);
        for (ptrdiff_t p = 1; p < quarter; p++, turns += 6)
            butterflies(x + s * p, x + half + s * p, y + 4 * s * p, y + half + 4 * s * p, s, step, turns);
        double *swap = x;
        x = y, y = swap;
    }
    if (n == 1)
        return x;
    for (ptrdiff_t part = 0; part < 2 * half; part += half)
        for (ptrdiff_t q = part; q < part + s; q += 4) {
            const Four a = LOAD(x + q), b = LOAD(x + q + s);
            STORE(y + q, a + b), STORE(y + q + s, a - b);
        }
    return y;
}

/* y (columns, rows) = x (rows, columns), transposed, real or imaginary part, as blocks of 4 by 4. */
INLINE void store_transposed(double *y, ptrdiff_t rows, const Four x[4])
{
    const Four a = x[0], b = x[1], c = x[2], d = x[3];
    const Four ab = __builtin_shufflevector(a, b, 0, 4, 2, 6), ba = __builtin_shufflevector(a, b, 1, 5, 3, 7);
    const Four cd = __builtin_shufflevector(c, d, 0, 4, 2, 6), dc = __builtin_shufflevector(c, d, 1, 5, 3, 7);
    STORE(y, __builtin_shufflevector(ab, cd, 0, 1, 4, 5)), STORE(y + rows, __builtin_shufflevector(ba, dc, 0, 1, 4, 5));
    STORE(y + 2 * rows, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
    STORE(y + 3 * rows, __builtin_shufflevector(ba, dc, 2, 3, 6, 7));
}

INLINE void turn_and_transpose(const double *x, const double *w, double *y, ptrdiff_t rows, ptrdiff_t columns)
{
    const ptrdiff_t half = rows * columns;
    for (ptrdiff_t r = 0; r < rows; r += 4)
        for (ptrdiff_t c = 0; c < columns; c += 4) {
            Four re[4], im[4];
            for (ptrdiff_t k = 0; k < 4; k++) {
                const ptrdiff_t at = (r + k) * columns + c;
                const Four xr = LOAD(x + at), xi = LOAD(x + half + at), wr = LOAD(w + at), wi = LOAD(w + half + at);
                re[k] = xr * wr - xi * wi;
                im[k] = xr * wi + xi * wr;
            }
            store_transposed(y + c * rows + r, rows, re);
            store_transposed(y + half + c * rows + r, rows, im);
        }
}

/* |X[k]|^2 of a real signal from z, the transform of its even and odd samples as one complex signal. */
INLINE void split_power(const double *z, const double *w, float *power, ptrdiff_t half)
{
    const double *re = z, *im = z + half, *wr = w, *wi = w + half / 2;
    for (ptrdiff_t k = 0; k < half / 2; k += 4) { /* bins k and half - k; those of k = 0 are put right below */
        const ptrdiff_t back = half - k - 3;
        const Four ar = LOAD(re + k), ai = LOAD(im + k);
        const Four cr = REVERSED(LOAD(re + back)), ci = REVERSED(LOAD(im + back));
        const Four er = ar + cr, ei = ai - ci, hr = ai + ci, hi = cr - ar;
        const Four tr = LOAD(wr + k) * hr - LOAD(wi + k) * hi, ti = LOAD(wr + k) * hi + LOAD(wi + k) * hr;
        const Four xr = er + tr, xi = ei + ti, yr = er - tr, yi = ei - ti;
        const Four low = 0.25 * (xr * xr + xi * xi), high = 0.25 * (yr * yr + yi * yi);
        *(FourFloats *)(power + k) = __builtin_convertvector(low, FourFloats);
        *(FourFloats *)(power + back) = __builtin_convertvector(REVERSED(high), FourFloats);
    }
    const double sum = re[0] + im[0], difference = re[0] - im[0];
    power[0] = (float)(sum * sum);
    power[half] = (float)(difference * difference);
    power[half / 2] = (float)(re[half / 2] * re[half / 2] + im[half / 2] * im[half / 2]);
}

INLINE void mel_sums(const Plan *plan, const float *power, float *mel)
{
    const int32_t *band = plan->bands;
    for (int32_t m = 0; m < plan->n_mels; m++, band += 3) {
        const float *p = power + band[0], *w = plan->weights + band[2];
        Eight sum = {0};
        for (int32_t block = 0; block < band[1]; block++)
            sum += *(const EightAnywhere *)(p + LANES * block) * *(const EightAnywhere *)(w + LANES * block);
        const float total = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
        mel[m] = total < plan->floor ? plan->floor : total;
    }
}

/* Natural logarithm of positive normal floats to float accuracy: 2 atanh((m - 1) / (m + 1)) + e ln 2. */
INLINE void logarithms(float *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        int32_t bits;
        memcpy(&bits, x + k, sizeof bits);
        const int32_t rest = bits - 0x3f3504f3, e = rest >> 23, m = (rest & 0x7fffff) + 0x3f3504f3;
        float mantissa;
        memcpy(&mantissa, &m, sizeof mantissa);
        const double f = (double)mantissa - 1.0, s = f / (2.0 + f), z = s * s;
        const double series = 1.0 + z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11)))));
        const float value = (float)(0.69314718055994531 * e + 2.0 * s * series);
        x[k] = x[k] - x[k] == 0 ? value : x[k]; /* what is not a number, or infinite, stays so */
    }
}

INLINE void cosines(const Plan *plan, const float *restrict mel, float *restrict out)
{
    for (int32_t at = 0; at < plan->width; at += COLUMNS) {
        const float *restrict column = plan->dct + at;
        float sum[COLUMNS] = {0};
        for (int32_t m = 0; m < plan->n_mels; m++, column += plan->padded)
            for (int l = 0; l < COLUMNS; l++)
                sum[l] += mel[m] * column[l];
        const int32_t count = plan->width - at < COLUMNS ? plan->width - at : COLUMNS;
        memcpy(out + at, sum, (size_t)count * sizeof(float));
    }
}

WIDE static void frame(const Plan *plan, const float *restrict x, float *restrict out)
{
    const ptrdiff_t half = plan->n_fft / 2;
    double *restrict re = plan->a, *restrict im = plan->a + half;
    const double *restrict even = plan->window, *restrict odd = plan->window + half;
    for (ptrdiff_t k = 0; k < half; k++) {
        re[k] = x[2 * k] * even[k];
        im[k] = x[2 * k + 1] * odd[k];
    }
    double *z = transform(plan->rows, plan->columns, half, plan->a, plan->b, plan->row_turns);
    double *other = z == plan->a ? plan->b : plan->a;
    turn_and_transpose(z, plan->cross, other, plan->rows, plan->columns);
    z = transform(plan->columns, plan->rows, half, other, z, plan->column_turns);
    split_power(z, plan->last, plan->power, half);
    mel_sums(plan, plan->power, plan->mel);
    logarithms(plan->mel, plan->n_mels);
    if (plan->padded)
        cosines(plan, plan->mel, out);
    else
        for (int32_t m = 0; m < plan->n_mels; m++)
            out[m] = plan->mel[m] * plan->scale;
}

/* Features of `count` frames, the first n_fft samples at x and each `stride` samples behind the one before. */
EXPORT void stream_classify_features(const Plan *plan, const float *x, ptrdiff_t stride, ptrdiff_t count, float *out)
{
    for (ptrdiff_t t = 0; t < count; t++)
        frame(plan, x + t * stride, out + t * plan->width);
}

/* The next samples of `streams` streams, and the frames that they complete.
 * lines: (streams, held + count); what each stream holds comes first, and its new samples are put behind it.
 * sound: (streams, count) int16, to be multiplied by scale, or float where scale is 0.
 * out: (streams, frames, width), frames `hop` samples apart. */
EXPORT void stream_classify_lines(const Plan *plan, float *lines, ptrdiff_t streams, ptrdiff_t held, ptrdiff_t count,
                                  const void *sound, float scale, ptrdiff_t hop, ptrdiff_t frames, float *out)
{
    for (ptrdiff_t s = 0; s < streams; s++) {
        float *line = lines + s * (held + count);
        if (scale == 0) {
            memcpy(line + held, (const float *)sound + s * count, (size_t)count * sizeof(float));
        } else {
            const int16_t *integers = (const int16_t *)sound + s * count;
            for (ptrdiff_t k = 0; k < count; k++)
                line[held + k] = (float)integers[k] * scale;
        }
        for (ptrdiff_t t = 0; t < frames; t++)
            frame(plan, line + t * hop, out + (s * frames + t) * plan->width);
    }
}

/* One frame that stays where it is, described once: a call with one argument costs Python least. */
typedef struct {
    const Plan *plan;
    const float *x;
    float *out;
} FrameCall;

EXPORT void stream_classify_frame(const FrameCall *call)
{
    frame(call->plan, call->x, call->out);
}

/* What the caller's Plan must agree with. */
EXPORT int stream_classify_abi(void)
{
    return VERSION * 65536 + (int)sizeof(Plan);
}

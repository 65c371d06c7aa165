#include "model/row.h"

double row_rate(const struct row *before, const struct row *now, enum metric_id id)
{
    if (!row_has(before, id) || !row_has(now, id))
        return -1;
    if (now->mono_ns <= before->mono_ns || now->values[id] < before->values[id])
        return -1;
    double seconds = (double)(now->mono_ns - before->mono_ns) / 1e9;
    return (double)(now->values[id] - before->values[id]) / seconds;
}

/* Numbers in a request's "params": see params_json.h. */
#include "job/params_json.h"

int params_whole(const char *name, json_t *v, uint32_t min, uint32_t max, uint32_t *ret, struct err *e)
{
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v) || n < min || n > max)
		return err_set(e, ERR_INVALID, "%s: expected a whole number from %u to %u", name, min, max);
	*ret = (uint32_t)n;
	return 0;
}

int params_number(const char *name, json_t *v, double min, double max, double *ret, struct err *e)
{
	double n = json_number_value(v);
	if (!json_is_number(v) || n < min || n > max)
		return err_set(e, ERR_INVALID, "%s: expected a number from %g to %g", name, min, max);
	*ret = n;
	return 0;
}

int params_milli(const char *name, json_t *v, double min, double max, int32_t *ret, struct err *e)
{
	double n = 0;
	int r = params_number(name, v, min, max, &n, e);
	if (r == 0)
		*ret = (int32_t)(n * 1000 + (n < 0 ? -0.5 : 0.5));
	return r;
}

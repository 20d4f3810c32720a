/* learn/tuner_random.c: settings drawn at random (Bergstra & Bengio, "Random search for hyper-parameter optimization",
 * JMLR 2012). Every draw asks every setting something new, where a grid asks the ones that matter the same again. */
#include "learn/tuner.h"

static void propose(const tuning_search *s, rng *r, trial *next) { tuner_draw(s, r, next->values); }

const tuner_kind tuner_random = {"random", "settings drawn at random", "Bergstra & Bengio 2012", propose};

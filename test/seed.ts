import * as fc from 'fast-check'

// Properties run on other values each time, except in continuous integration: a change that fails there fails by what it changed. `CORRAL_TEST_SEED` repeats
// a run, or explores further in CI.
const { CI, CORRAL_TEST_SEED } = process.env
const seed = CORRAL_TEST_SEED ?? (CI ? '1' : undefined)
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })

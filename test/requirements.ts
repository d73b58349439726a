import { additions } from './requirements/additions.ts'
import { architecture } from './requirements/architecture.ts'
import { auth } from './requirements/auth.ts'
import { bounds } from './requirements/bounds.ts'
import { dialects } from './requirements/dialects.ts'
import { egress } from './requirements/egress.ts'
import { guarantees } from './requirements/guarantees.ts'
import { fairness } from './requirements/fairness.ts'
import { inference } from './requirements/inference.ts'
import { jobs } from './requirements/jobs.ts'
import { keys } from './requirements/keys.ts'
import { hostile } from './requirements/hostile.ts'
import { malformed } from './requirements/malformed.ts'
import { metrics } from './requirements/metrics.ts'
import { operations } from './requirements/operations.ts'
import { packaging } from './requirements/packaging.ts'
import { pipeline } from './requirements/pipeline.ts'
import { policy } from './requirements/policy.ts'
import { processes } from './requirements/process.ts'
import { quota } from './requirements/quota.ts'
import { releasedConfigs } from './requirements/released-configs.ts'
import type { Requirements } from './requirements/requirement.ts'
import { resources } from './requirements/resources.ts'
import { serving } from './requirements/serving.ts'
import { state } from './requirements/state.ts'
import { storage } from './requirements/storage.ts'
import { traceStore } from './requirements/trace-store.ts'
import { telemetry } from './requirements/telemetry.ts'
import { telemetryOperations } from './requirements/telemetry-operations.ts'
import { vendors } from './requirements/vendors.ts'

/** What users rely on, as data, a file for each part. A test that verifies one carries its id in its title: `test('[ERR-1] …')`. */
export const requirements: Requirements = {
  ...serving,
  ...auth,
  ...keys,
  ...policy,
  ...pipeline,
  ...quota,
  ...storage,
  ...egress,
  ...hostile,
  ...malformed,
  ...metrics,
  ...traceStore,
  ...telemetry,
  ...telemetryOperations,
  ...operations,
  ...additions,
  ...packaging,
  ...bounds,
  ...guarantees,
  ...vendors,
  ...fairness,
  ...processes,
  ...releasedConfigs,
  ...architecture,
  ...jobs,
  ...inference,
  ...resources,
  ...state,
  ...dialects,
}

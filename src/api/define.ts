import { routesFor } from '../http/route.ts'
import type { ModelCatalog } from '../registry/models.ts'
import type { Log } from '../telemetry/logger.ts'
import type { StreamTimes } from './reply.ts'

/** What handlers may use; built in `services.ts`. */
export interface ApiDeps {
  readonly models: ModelCatalog
  readonly log: Log
  /** Absent: the defaults. */
  readonly streams?: StreamTimes | undefined
}

export const defineRoute = routesFor<ApiDeps>()

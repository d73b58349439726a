import { routesFor } from '../http/route.ts'
import type { ModelCatalog } from '../registry/models.ts'
import type { Log } from '../telemetry/logger.ts'

/** What handlers may use; built in `services.ts`. */
export interface ApiDeps {
  readonly models: ModelCatalog
  readonly log: Log
}

export const defineRoute = routesFor<ApiDeps>()

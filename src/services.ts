import type { ApiDeps } from './api/define.ts'
import { createReadiness, type Readiness } from './api/health/readiness.ts'
import type { Config } from './config/config.ts'
import { createModelCatalog } from './registry/models.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog } from './telemetry/logger.ts'

/** All the parts of a running server; disposing them goes in reverse. */
export interface Services extends ApiDeps, AsyncDisposable {
  readonly config: Config
  readonly events: Events
  readonly readiness: Readiness
}

/** The composition root: constructor calls in order. */
export async function buildServices(config: Config = bare): Promise<Services> {
  const log = createLog({ categoryLevels: config.logging.categoryLevels })
  const events = createEvents(log)
  const providers = new Map()
  const models = createModelCatalog(providers)
  return { config, log, events, readiness: createReadiness(), models, async [Symbol.asyncDispose]() {} }
}

const bare: Config = {
  distribution: 'bare',
  apis: [],
  providers: [],
  models: [],
  server: {
    port: 8321,
    host: undefined,
    allowUnauthenticated: false,
    workers: 1,
    registryRefreshInterval: 300,
    maxBodyBytes: 32 * 1024 * 1024,
    streamHeadTimeout: 15,
    heartbeatInterval: 15,
    drainTimeout: 30,
  },
  logging: { categoryLevels: {} },
}

import type { ApiDeps } from './api/define.ts'
import { createModelCatalog } from './registry/models.ts'
import { createLog } from './telemetry/logger.ts'

/** All the parts of a running server; disposing them goes in reverse. */
export interface Services extends ApiDeps, AsyncDisposable {}

/** The composition root: constructor calls in order. */
export async function buildServices(): Promise<Services> {
  const log = createLog({ level: 'info' })
  const providers = new Map()
  const models = createModelCatalog(providers)
  return { log, models, async [Symbol.asyncDispose]() {} }
}

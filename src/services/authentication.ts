import type { Readiness } from '../api/health/readiness.ts'
import { createKeyService, type KeyService } from '../api/keys/service.ts'
import { createAuthentication } from '../auth/authentication.ts'
import type { Authentication } from '../auth/authenticator.ts'
import type { AuthConfig } from '../auth/config.ts'
import { openKeyAuthentication } from '../auth/keys/open.ts'
import type { Config } from '../config/config.ts'
import type { Egress } from '../egress/egress.ts'
import type { Storage } from '../storage/storage.ts'
import type { Events } from '../telemetry/events.ts'
import type { DisposalStack } from './disposal.ts'
import { RequirementError } from './requirement-error.ts'

export interface ServerAuthenticationDeps {
  readonly storage: Storage
  readonly egress: Egress
  readonly events: Events
  readonly readiness: Readiness
  /** The names of the APIs that are served. */
  readonly apis: readonly string[]
  /** Instead of the configuration's. */
  readonly authentication?: Authentication | undefined
  readonly parts: DisposalStack
}

export interface ServerAuthentication {
  readonly authentication: Authentication
  readonly keys: KeyService
}

/** API keys and the chain of authenticators of `server.auth`. Throws RequirementError where keys have no pepper. */
export async function createServerAuthentication(
  { accessPolicy: policy, keyPepper, home }: Config,
  auth: AuthConfig,
  deps: ServerAuthenticationDeps,
): Promise<ServerAuthentication> {
  const { egress, events, readiness, apis, parts } = deps
  const database = await deps.storage.records.open()
  const { authenticator, pepper } = await openKeyAuthentication({ database, pepper: keyPepper, home, events }).catch(throwPepperError)
  readiness.addReadinessCheck('API keys cannot be read from the database', () => authenticator.isReadable)
  if (deps.authentication) parts.use(authenticator)
  const authentication = deps.authentication ?? parts.use(createAuthentication(auth, { egress, events, keys: authenticator }))
  const keys = createKeyService({ database, policy, pepper, events, apis, onChange: () => authenticator.refresh() })
  return { authentication, keys }
}

function throwPepperError(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error)
  throw new RequirementError(message, 'Set server.auth.key_pepper, or CORRAL_HOME to a writable folder.', error)
}

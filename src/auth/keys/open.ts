import type { AccessPolicy } from '../../access/policy.ts'
import type { Secret } from '../../secret.ts'
import type { Database } from '../../storage/database.ts'
import type { Events } from '../../telemetry/events.ts'
import { createKeyAuthenticator, type KeyAuthenticator } from './authenticator.ts'
import type { KeyService } from './key-service.ts'
import { loadPepper } from './pepper.ts'
import { createKeyService } from './service.ts'

export interface KeysDeps {
  readonly database: Database
  readonly policy: AccessPolicy
  readonly events: Pick<Events, 'resourceChanged' | 'changesRecorded' | 'unexpected' | 'warning'>
  /** `server.auth.key_pepper`. */
  readonly pepper?: Secret | undefined
  /** Corral's home, for the pepper's file where none is configured. */
  readonly home: string
  /** The names of the APIs that are served. */
  readonly apis?: readonly string[] | undefined
  /** Unix milliseconds. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
}

/** Corral's own keys as a server has them: who checks them and who changes them. Disposing the authenticator is enough. */
export interface Keys {
  readonly authenticator: KeyAuthenticator
  readonly service: KeyService
}

/** Throws an Error where the pepper's file can neither be read nor made. */
export async function openKeys({ database, policy, events, home, apis, clock, ...rest }: KeysDeps): Promise<Keys> {
  const pepper = await loadPepper({ configured: rest.pepper, folder: home })
  if (pepper.warning !== undefined) events.warning(pepper.warning)
  if (pepper.file !== undefined && database.engine === 'postgres') {
    events.warning(
      `API keys are hashed with the pepper in ${pepper.file}: replicas on other machines need the same (server.auth.key_pepper), or they refuse every key`,
    )
  }
  const authenticator = createKeyAuthenticator({ database, pepper: pepper.value, events, clock })
  const service = createKeyService({ database, policy, pepper: pepper.value, events, apis, clock, onChange: () => authenticator.refresh() })
  return { authenticator, service }
}

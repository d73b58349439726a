import type { Secret } from '../../secret.ts'
import type { Database } from '../../storage/database.ts'
import type { Events } from '../../telemetry/events.ts'
import { createKeyAuthenticator, type KeyAuthenticator } from './authenticator.ts'
import { loadPepper } from './pepper.ts'

interface KeyAuthenticationDeps {
  readonly database: Database
  readonly events: Pick<Events, 'unexpected' | 'warning'>
  /** `server.auth.key_pepper`. */
  readonly pepper?: Secret | undefined
  /** Corral's home, for the pepper's file where none is configured. */
  readonly home: string
}

/** Throws an Error where the pepper's file can neither be read nor created. */
export async function openKeyAuthentication(
  deps: KeyAuthenticationDeps,
): Promise<{ readonly authenticator: KeyAuthenticator; readonly pepper: Secret }> {
  const { database, events, home } = deps
  const pepper = await loadPepper({ configured: deps.pepper, folder: home })
  if (pepper.warning !== undefined) events.warning(pepper.warning)
  if (pepper.file !== undefined && database.engine === 'postgres') {
    events.warning(
      `API keys are hashed with the pepper in ${pepper.file}: replicas on other machines need the same (server.auth.key_pepper), or they refuse every key`,
    )
  }
  return { authenticator: createKeyAuthenticator({ database, pepper: pepper.value, events }), pepper: pepper.value }
}

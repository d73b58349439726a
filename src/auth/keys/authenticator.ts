import type { Principal } from '../../call.ts'
import { unavailable } from '../../errors.ts'
import type { Secret } from '../../secret.ts'
import type { Database } from '../../storage/database.ts'
import { createSnapshot } from '../../storage/snapshot.ts'
import type { Events } from '../../telemetry/events.ts'
import type { AuthenticationRequest, Authenticator } from '../authenticator.ts'
import { CredentialRefused } from '../refusal.ts'
import { KeyHasher, sameHash } from './hash.ts'
import { type KeyRecord, type KeyRing, keysScope, keyType, loadKeyRing } from './key-ring.ts'
import { idOfToken, tokenPrefix } from './token.ts'

interface KeyAuthenticatorDeps {
  readonly database: Pick<Database, 'read' | 'watch'>
  readonly pepper: Secret
  readonly events?: Pick<Events, 'warning' | 'unexpected'> | undefined
  /** Unix milliseconds. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
  /** Milliseconds of a clock that only goes forward, for how long the database was out of reach. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

export type KeyAuthenticator = Authenticator &
  AsyncDisposable & {
    /** Reloads the keys; for the process that has changed one. */
    refresh(): Promise<void>
    /** Resolves after the first reading, or its failure. */
    readonly ready: Promise<void>
    /** Whether keys can be verified: not before the first load, nor once loading has failed for more than a minute. */
    readonly isReadable: boolean
  }

/**
 * Corral's own keys (`crl_…`); every other credential is left to the next in the chain. Keys are looked up in memory, in what every replica
 * holds of the table, so that authentication is synchronous; a change is seen within a second. Before one is refused that is unknown here, the database
 * is asked whether its keys have changed, at most once in 50 ms for all of them. Throws CredentialRefused (401) for a
 * key that is mistyped, unknown, revoked or expired, and ApiError 503 for an unknown one while the database does not respond, and for all once the keys
 * could not be read for more than a minute.
 *
 * There is no cache of verdicts: recognising a key costs about a microsecond, most of it the one HMAC, and a cache would need a hash as well.
 */
export function createKeyAuthenticator({ database, pepper, events, clock = Date.now, now }: KeyAuthenticatorDeps): KeyAuthenticator {
  const hasher = new KeyHasher(pepper)
  let latest: KeyRing | undefined
  let loaded = false
  const warnOnce = onceForEach((message: string) => events?.warning(message))
  const snapshot = createSnapshot<KeyRing>({
    database,
    scope: keysScope,
    load: async (read) => (latest = await loadKeyRing(read, latest)),
    onChange(ring) {
      loaded = true
      for (const message of unreadableKeysMessage(ring, hasher.pepperId)) warnOnce(message)
    },
    ...(events && { events }),
    ...(now && { now }),
  })
  const recognise = (token: string, id: string): Principal | undefined => {
    const record = snapshot.current().keys.get(id)
    return record && check(record, hasher, token, clock())
  }
  // Another process may have made it, or given it a new secret, a moment ago.
  const recogniseNew = async (token: string, id: string): Promise<Principal> => {
    const isUpToDate = await snapshot.catchUp()
    const principal = recognise(token, id)
    if (principal) return principal
    // It may be valid, and clients do not retry a 401.
    if (!isUpToDate) throw unavailable('API keys cannot be verified at the moment.', 1, { code: 'database_unavailable' })
    throw refused(unrecognised(snapshot.current().keys.get(id), hasher.pepperId))
  }
  const recogniseFirst = async (token: string, id: string): Promise<Principal> => {
    await snapshot.ready
    return recognise(token, id) ?? recogniseNew(token, id)
  }
  return {
    type: keyType,
    missingCredentialMessage: 'Authentication required. Please provide an API key of this server (crl_…) as a Bearer token',
    authenticate({ credential }: AuthenticationRequest) {
      const token = credential?.token
      if (!token?.startsWith(tokenPrefix)) return undefined
      const id = idOfToken(token)
      if (id === undefined) throw checksumMismatch()
      return loaded ? (recognise(token, id) ?? recogniseNew(token, id)) : recogniseFirst(token, id)
    },
    refresh: () => snapshot.refresh(),
    ready: snapshot.ready,
    get isReadable() {
      try {
        snapshot.current()
        return true
      } catch {
        return false
      }
    },
    async [Symbol.asyncDispose]() {
      snapshot[Symbol.dispose]()
    },
  }
}

/** Undefined: not the secret that is known. */
function check(record: KeyRecord, hasher: KeyHasher, token: string, time: number): Principal | undefined {
  const { id, hash, previous, expiresAt, revokedAt, principal } = record
  const digest = hasher.digest(token)
  if (!sameHash(hash, digest)) {
    if (!sameHash(previous?.hash, digest)) return undefined
    if (time >= (previous?.until ?? 0))
      throw refused(`API key ${id}: the secret before its rotation`, 'This API key was replaced by a new one.')
  }
  // Only the holder of the whole key learns its state.
  if (revokedAt !== undefined) throw refused(`API key ${id} is revoked`, 'This API key has been revoked.')
  if (expiresAt !== undefined && time >= expiresAt) {
    throw refused(`API key ${id} has expired`, `This API key expired at ${new Date(expiresAt).toISOString()}.`)
  }
  return principal
}

function unrecognised(record: KeyRecord | undefined, pepperId: string): string {
  if (!record) return 'unknown API key'
  return record.hash.pepperId === pepperId ? `API key ${record.id}: wrong secret` : `API key ${record.id} was made with another pepper`
}

function refused(reason: string, message = 'Invalid API key.'): CredentialRefused {
  return new CredentialRefused(message, { reason, code: 'invalid_api_key' })
}

function checksumMismatch(): CredentialRefused {
  return refused('a mistyped or cut-off API key', 'This is no valid API key: it is mistyped or cut off (its checksum does not fit).')
}

/** What an operator should know about the keys as they were read. */
function unreadableKeysMessage({ keys, unreadable }: KeyRing, pepperId: string): string[] {
  const others = [...keys.values()].filter(({ hash, revokedAt }) => hash.pepperId !== pepperId && revokedAt === undefined)
  return [
    ...(others.length > 0
      ? [
          `${others.length} of ${keys.size} API keys were made with another pepper, and are refused (e.g. ${others[0]?.id}): ` +
            'server.auth.key_pepper, or the file key-pepper in the home of Corral, must be the one they were made with',
        ]
      : []),
    ...(unreadable.length > 0
      ? [`${unreadable.length} API keys cannot be read, and are refused: ${unreadable.slice(0, 5).join(', ')}`]
      : []),
  ]
}

/** Reports each message once. */
function onceForEach(report: (message: string) => void): (message: string) => void {
  const reported = new Set<string>()
  return (message) => {
    if (reported.has(message)) return
    reported.add(message)
    report(message)
  }
}

import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import { createAuthentication, type AuthenticationDeps } from '../../src/auth/authentication.ts'
import type { AuthenticationRequest, Authentication } from '../../src/auth/authenticator.ts'
import type { AuthConfig } from '../../src/auth/config.ts'
import { readAuth } from '../../src/auth/read-auth.ts'
import { authConfigSchema } from '../../src/auth/schema.ts'
import type { Principal } from '../../src/call.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { ApiError } from '../../src/errors.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { recordedLog, type RecordedLine, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

/** `provider_config` as a file has it. */
export type Section = Record<string, unknown> | Record<string, unknown>[]

interface GuardedOptions extends Partial<Pick<AuthenticationDeps, 'keys' | 'now'>> {
  trustedProxies?: readonly string[]
  /** `route_policy`. */
  routePolicy?: RouteRules
}

type RouteRules = Parameters<typeof compileRoutePolicy>[0]

/** A section checked and read as the loader does it. Throws where it is wrong. */
export function authOf(section: Section, trustedProxies: readonly string[] = []): AuthConfig {
  const { config, problems } = readAuth(authConfigSchema.parse(section), { trustedProxies })
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('; '))
  return config
}

/** The chain alone, for what responses do not show: attributes, and the number of calls. */
export function chainOf(section: Section, options: GuardedOptions = {}): Authentication & { readonly lines: readonly RecordedLine[] } {
  const log = recordedLog()
  const { trustedProxies, routePolicy: _, ...deps } = options
  const authentication = createAuthentication(authOf(section, trustedProxies), {
    egress: createEgress(),
    events: createEvents(log),
    ...deps,
  })
  return Object.assign(authentication, { lines: log.lines })
}

/** What the chain makes of a token in the Authorization header (or of other headers). Rejects as it throws. */
export async function whoIs(
  chain: Authentication,
  shown: string | Record<string, string>,
  attempt: Partial<Omit<AuthenticationRequest, 'request' | 'credential'>> & { path?: string } = {},
): Promise<Principal> {
  const headers = typeof shown === 'string' ? { authorization: `Bearer ${shown}` } : shown
  const { path = '/v1/models', ...rest } = attempt
  const request = new Request(`http://corral.test${path}`, { headers })
  return chain.authenticate({ request, peerAddress: '192.0.2.1', signal: new AbortController().signal, ...rest })
}

/** The principal's name, or what was refused: `401 Invalid JWT token`. */
export async function outcome(...asked: Parameters<typeof whoIs>): Promise<string> {
  try {
    return (await whoIs(...asked)).id
  } catch (error) {
    if (error instanceof ApiError) return `${error.status} ${error.message}`
    throw error
  }
}

/** The response of a guarded server. */
interface AuthenticatedResponse {
  readonly status: number
  readonly headers: Headers
  readonly error: { message: string; type: string; code: string | null } | undefined
  /** The one line of the access log. */
  readonly line: RecordedLine
}

export interface Guarded extends TestServer {
  /** Every line of its log. */
  readonly lines: readonly RecordedLine[]
  /** Asks `GET /v1/models`, with a token in the Authorization header or with these headers. */
  ask(shown?: string | Record<string, string>, path?: string): Promise<AuthenticatedResponse>
}

/** The whole server on loopback, guarded by this `provider_config`. */
export async function guarded(section: Section, options: GuardedOptions = {}): Promise<Guarded> {
  const log = recordedLog()
  const { trustedProxies = [], routePolicy, ...deps } = options
  const auth = authOf(section, trustedProxies)
  const authentication = createAuthentication(auth, { egress: createEgress(), events: createEvents(log), ...deps })
  const policy = routePolicy && { routePolicy: compileRoutePolicy(routePolicy) }
  const server = await testServer({ ...testConfig({ server: { trustedProxies } }), auth, ...policy }, { log, authentication })
  const requests = () => log.lines.filter(({ message }) => message === 'request')
  return {
    ...server,
    lines: log.lines,
    async ask(shown = {}, path = '/v1/models') {
      const before = requests().length
      const headers = typeof shown === 'string' ? { authorization: `Bearer ${shown}` } : shown
      const response = await server.fetch(path, { headers })
      const text = await response.text()
      const added = requests().slice(before)
      if (added.length !== 1) throw new Error(`A request left ${added.length} lines.`)
      const error = response.status === 200 ? undefined : (JSON.parse(text) as { error: AuthenticatedResponse['error'] }).error
      return { status: response.status, headers: response.headers, error, line: added[0] as RecordedLine }
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await authentication[Symbol.asyncDispose]()
    },
  }
}

/** Asks over and over until `holds`. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A clock that only advances when set. */
export function standingClock(start = Date.UTC(2026, 10, 22, 12)): { now(): number; pass(milliseconds: number): void } {
  let at = start
  return {
    now: () => at,
    pass(milliseconds) {
      at += milliseconds
    },
  }
}

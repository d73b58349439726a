import type { RoutePolicy, RouteRequest } from '../../src/access/policy.ts'
import type { AuthenticationRequest, Authentication } from '../../src/auth/authenticator.ts'
import type { Principal } from '../../src/call.ts'
import { ApiError } from '../../src/errors.ts'
import { testConfig, testServer, type ConfigParts, type TestServer } from '../../src/testing/index.ts'

/** Authenticates callers by bearer token; `later` returns a promise, as an identity service would. */
export function known(callers: Readonly<Record<string, Omit<Principal, 'id'>>>, { later = false } = {}): Authentication {
  const recognise = ({ request }: Omit<AuthenticationRequest, 'credential'>): Principal => {
    const token = request.headers.get('authorization')?.replace('Bearer ', '') ?? ''
    const found = Object.hasOwn(callers, token) ? callers[token] : undefined
    if (found) return { id: token, ...found }
    throw new ApiError('authentication_error', 'Authentication required.', {
      headers: { 'www-authenticate': 'Bearer' },
      denial: { by: 'authentication', reason: 'no credential' },
    })
  }
  return {
    authenticate: (attempt) => (later ? Promise.resolve().then(() => recognise(attempt)) : recognise(attempt)),
    async [Symbol.asyncDispose]() {},
  }
}

/** Says yes to paths that begin with one of these. */
export function routesBeginning(...prefixes: string[]): RoutePolicy & { readonly asked: RouteRequest[] } {
  const asked: RouteRequest[] = []
  return {
    asked,
    decide(question) {
      asked.push(question)
      const rule = prefixes.findIndex((prefix) => question.path.startsWith(prefix))
      return rule < 0
        ? { allowed: false, explicit: true, reason: 'no rule matched' }
        : { allowed: true, rule, explicit: true, reason: `rule ${rule}` }
    },
  }
}

export function serve(parts: ConfigParts, authentication?: Authentication, options: object = {}): Promise<TestServer> {
  return testServer(testConfig(parts), { ...(authentication && { authentication }), ...options })
}

export function asking(token: string, init: RequestInit = {}): RequestInit {
  return { ...init, headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) } }
}

/** Status and code (or type) of a response. */
export async function outcome(response: Response): Promise<string> {
  const text = await response.text()
  const error = text.startsWith('{"error"') ? (JSON.parse(text) as { error: { code: string | null; type: string } }).error : undefined
  return [response.status, ...(error ? [error.code ?? error.type] : [])].join(' ')
}

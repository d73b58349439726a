import type { Egress, EgressRequest } from '../egress/egress.ts'
import type { AuthenticatorConfig, OAuth2Config } from './config.ts'

/** An authenticator that calls a service. */
export type RemoteAuthenticator = Exclude<AuthenticatorConfig, { type: 'api_key' | 'local_api_key' | 'upstream_header' }>

type ReachabilityRequest = { readonly url: string } & Pick<EgressRequest, 'method' | 'headers' | 'body'>

const maxResponseBytes = 1_000_000

/**
 * Sends an identity service a request like the server's, without a real credential: for the key set, an unknown token, or any response at all.
 * Resolves with whatever it says; throws EgressError or the reason of `signal`.
 */
export async function pingIdentityService(
  config: RemoteAuthenticator,
  { egress, signal }: { egress: Egress; signal: AbortSignal },
): Promise<{ readonly status: number; readonly text: string }> {
  const { url, ...request } = requestFor(config)
  const response = await egress.request(url, { ...request, signal, network: config.network })
  return { status: response.status, text: new TextDecoder().decode(await response.content.bytes(maxResponseBytes)) }
}

/** Where an authenticator asks. */
export function addressOf(config: RemoteAuthenticator): string {
  return requestFor(config).url
}

function requestFor(config: RemoteAuthenticator): ReachabilityRequest {
  const accept = { accept: 'application/json' }
  if (config.type === 'kubernetes') return { url: new URL('/version', config.apiServerUrl).href, method: 'GET', headers: accept }
  if (config.type === 'github_token') return { url: config.apiBaseUrl, method: 'GET', headers: { ...accept, 'user-agent': 'corral' } }
  if (config.type === 'custom') return { url: config.endpoint, method: 'GET', headers: accept }
  return config.check.kind === 'jwks' ? keysOf(config.check) : introspectionOf(config.check)
}

function keysOf({ uri, token }: Extract<OAuth2Config['check'], { kind: 'jwks' }>): ReachabilityRequest {
  const authorization = token && { authorization: `Bearer ${token.reveal()}` }
  return { url: uri, method: 'GET', headers: { accept: 'application/json', ...authorization } }
}

/** RFC 7662 §2.1; the client's credentials as RFC 6749 §2.3.1 encodes them. */
function introspectionOf(check: Extract<OAuth2Config['check'], { kind: 'introspection' }>): ReachabilityRequest {
  const { url, clientId, clientSecret, sendSecretInBody } = check
  const secret = clientSecret.reveal()
  const form = new URLSearchParams({ token: 'corral-doctor', ...(sendSecretInBody && { client_id: clientId, client_secret: secret }) })
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    ...(!sendSecretInBody && { authorization: `Basic ${btoa(`${formEncoded(clientId)}:${formEncoded(secret)}`)}` }),
  }
  return { url, method: 'POST', headers, body: form.toString() }
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

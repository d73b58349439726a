import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import OidcProvider from 'oidc-provider'

/** A certified OpenID provider on loopback, with its own keys, clients and tokens. */
export interface OpenIDProvider extends AsyncDisposable {
  readonly url: string
  /** How often its introspection endpoint was asked. */
  readonly introspections: number
  /** A token for the client `service`: a JWT for `audience`, or without one an opaque token. */
  token(audience?: string, scope?: string): Promise<string>
  revoke(token: string): Promise<void>
  /** Settings of `introspection:` for a client that sends its secret in this way. */
  introspection(how: 'basic' | 'body'): Record<string, unknown>
}

// Few servers agree on how HTTP Basic carries these; RFC 6749 §2.3.1 says it.
const secret = 'a-b_c.d~e:%+ /&='
const service = { client_id: 'service', client_secret: 'service-secret' }
const granting = { redirect_uris: [], response_types: [], scope: 'telemetry.read models.read' }

/** Extra claims of every token, as an operator's own mapping adds them. */
const extraClaims = { username: 'service-account', groups: ['ml', 'ops'], realm_access: { roles: ['admin'] } }

export async function startOpenIDProvider(): Promise<OpenIDProvider> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let introspections = 0
  const server = createServer((request, response) => {
    if (request.url === '/token/introspection') introspections += 1
    handle(request, response)
  })
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const provider = new OidcProvider(url, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'signing', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['cookies'] },
    ttl: { ClientCredentials: 600 },
    clients: [
      { ...service, ...granting, grant_types: ['client_credentials'] },
      { client_id: 'basic', client_secret: secret, ...granting, grant_types: [] },
      { client_id: 'body', client_secret: secret, ...granting, grant_types: [], token_endpoint_auth_method: 'client_secret_post' },
    ],
    scopes: ['telemetry.read', 'models.read'],
    extraTokenClaims: () => extraClaims,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'telemetry.read models.read',
          audience: resource.replace('urn:', ''),
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  })
  const handle = provider.callback()
  const post = (path: string, form: Record<string, string>): Promise<Response> =>
    fetch(url + path, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${service.client_id}:${service.client_secret}`)}` },
      body: new URLSearchParams(form),
    })
  return {
    url,
    get introspections() {
      return introspections
    },
    async token(audience, scope = 'telemetry.read') {
      const form = { grant_type: 'client_credentials', scope }
      const response = await post('/token', audience === undefined ? form : { ...form, resource: `urn:${audience}` })
      const { access_token: token } = (await response.json()) as { access_token?: string }
      if (token === undefined) throw new Error(`The provider answered ${response.status} and no token.`)
      return token
    },
    async revoke(token) {
      await post('/token/revocation', { token })
    },
    introspection: (how) => ({
      url: `${url}/token/introspection`,
      client_id: how,
      client_secret: secret,
      send_secret_in_body: how === 'body',
    }),
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>()
      server.closeAllConnections()
      server.close(() => closed.resolve())
      await closed.promise
    },
  }
}

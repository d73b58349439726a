import type { AuthenticatorConfig } from '../../auth/config.ts'
import { addressOf, pingIdentityService, type RemoteAuthenticator } from '../../auth/reachability.ts'
import { EgressError } from '../../egress/egress-error.ts'
import { redactText } from '../../config/redact.ts'
import { causeOf } from '../../telemetry/events.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, type DoctorContext, warning } from './check.ts'

/** Asks what the server would ask about a caller; nobody's token is shown. */
export const identity: DoctorCheck = {
  name: 'identity services',
  find: (context) =>
    Promise.all((context.loaded.config.auth?.authenticators ?? []).filter(isRemote).map((config) => checkService(config, context))),
}

function isRemote(config: AuthenticatorConfig): config is RemoteAuthenticator {
  return 'network' in config
}

async function checkService(config: RemoteAuthenticator, { egress, signal }: DoctorContext): Promise<DoctorFinding> {
  const subject = `identity service ${new URL(addressOf(config)).host}`
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(config.timeout)])
    return findingOf(subject, config, await pingIdentityService(config, { egress, signal: limit }))
  } catch (error) {
    signal.throwIfAborted()
    // Of providers that is the key; authenticators have another.
    const cause = redactText(causeOf(error)).replace('; name the CA in network.tls.verify', '')
    return failed(subject, cause, error instanceof EgressError && error.reason === 'tls' ? certificateRemedy(config) : unreachableRemedy)
  }
}

const unreachableRemedy = 'Until it can be reached, its callers get 503: check its address in server.auth, and the network.'

function certificateRemedy({ type }: RemoteAuthenticator): string {
  const where = type === 'kubernetes' ? ' (in a pod /var/run/secrets/kubernetes.io/serviceaccount/ca.crt)' : ''
  return `Name the authority of its certificate in tls_cafile of server.auth${where}; the certificate must be for the host in the address.`
}

interface IdentityResponse {
  readonly status: number
  readonly text: string
}

function findingOf(subject: string, config: RemoteAuthenticator, { status, text }: IdentityResponse): DoctorFinding {
  if (status >= 500) return failed(subject, `answers ${status}`, 'The service itself is not well: see its own log.')
  if (config.type === 'kubernetes' || config.type === 'github_token') return apiFindingOf(subject, config, { status, text })
  if (config.type === 'custom') return ok(subject, 'answers')
  const { kind } = config.check
  const what = kind === 'jwks' ? 'keys' : 'introspection'
  if (status !== 200) {
    const credentials = kind === 'jwks' ? 'the URI and its token' : 'client_id, client_secret and send_secret_in_body'
    return failed(subject, `answers ${status} where ${what} are asked for`, `Check ${credentials} in server.auth.`)
  }
  if (kind === 'jwks' && /^\s*\{\s*"keys"\s*:\s*\[\s*\]/.test(text)) {
    return warning(
      subject,
      'answers, and its set holds no key: every token is refused',
      'Check the URI in server.auth, and whether the issuer signs yet.',
    )
  }
  if (kind === 'jwks' ? /"keys"\s*:\s*\[/.test(text) : /"active"\s*:/.test(text)) return ok(subject, `answers (${what})`)
  return failed(subject, `answers something that is no answer about ${what}`, 'Check the address in server.auth.')
}

/** Both answer in JSON, and whoever shows no token may be refused: what else answers there is something else. */
function apiFindingOf(subject: string, { type }: RemoteAuthenticator, { status, text }: IdentityResponse): DoctorFinding {
  if ([200, 401, 403, 429].includes(status) && isJsonObject(text)) return ok(subject, 'answers')
  const [what, remedy] =
    type === 'kubernetes'
      ? ["Kubernetes' API", 'Check api_server_url in server.auth; behind a proxy such as Rancher’s it has a path.']
      : ["GitHub's API", 'Check github_api_base_url in server.auth; of GitHub Enterprise Server it is https://HOST/api/v3.']
  return failed(subject, `answers ${status}, not as ${what} does`, remedy)
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}

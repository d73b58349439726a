import type { AuthenticatorConfig } from '../../auth/config.ts'
import { addressOf, pingIdentityService, type RemoteAuthenticator } from '../../auth/reachability.ts'
import { EgressError } from '../../egress/egress-error.ts'
import { redactText } from '../../config/redact.ts'
import { causeOf } from '../../telemetry/events.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, type DoctorContext, warning } from './check.ts'

/** Sends the requests that the server sends about a caller, without a caller's token. */
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
    // That key belongs to providers; authenticators have another one.
    const cause = redactText(causeOf(error)).replace('; name the CA in network.tls.verify', '')
    return failed(subject, cause, error instanceof EgressError && error.reason === 'tls' ? certificateRemedy(config) : unreachableRemedy)
  }
}

const unreachableRemedy = 'Its callers get 503 until it is reachable: check its address in server.auth, and the network.'

function certificateRemedy({ type }: RemoteAuthenticator): string {
  const where = type === 'kubernetes' ? ' (in a pod /var/run/secrets/kubernetes.io/serviceaccount/ca.crt)' : ''
  return `Set tls_cafile in server.auth${where} to the CA of its certificate; the certificate must match the host of the address.`
}

interface IdentityResponse {
  readonly status: number
  readonly text: string
}

function findingOf(subject: string, config: RemoteAuthenticator, { status, text }: IdentityResponse): DoctorFinding {
  if (status >= 500) return failed(subject, `returned status ${status}`, 'The service itself fails: see its log.')
  if (config.type === 'kubernetes' || config.type === 'github_token') return apiFindingOf(subject, config, { status, text })
  if (config.type === 'custom') return ok(subject, 'responds')
  const { kind } = config.check
  const what = kind === 'jwks' ? 'keys' : 'introspection'
  if (status !== 200) {
    const credentials = kind === 'jwks' ? 'the URI and its token' : 'client_id, client_secret and send_secret_in_body'
    return failed(subject, `returned status ${status} for ${what}`, `Check ${credentials} in server.auth.`)
  }
  if (kind === 'jwks' && /^\s*\{\s*"keys"\s*:\s*\[\s*\]/.test(text)) {
    return warning(
      subject,
      'responds, but its key set is empty: every token is rejected',
      'Check the URI in server.auth, and whether the issuer has keys.',
    )
  }
  if (kind === 'jwks' ? /"keys"\s*:\s*\[/.test(text) : /"active"\s*:/.test(text)) return ok(subject, `responds (${what})`)
  return failed(subject, `returned an invalid response for ${what}`, 'Check the address in server.auth.')
}

/** Both APIs return JSON and may reject requests without a token; other responses come from something else. */
function apiFindingOf(subject: string, { type }: RemoteAuthenticator, { status, text }: IdentityResponse): DoctorFinding {
  if ([200, 401, 403, 429].includes(status) && isJsonObject(text)) return ok(subject, 'responds')
  const [what, remedy] =
    type === 'kubernetes'
      ? ["Kubernetes' API", 'Check api_server_url in server.auth; behind a proxy such as Rancher it has a path.']
      : ["GitHub's API", 'Check github_api_base_url in server.auth; for GitHub Enterprise Server it is https://HOST/api/v3.']
  return failed(subject, `returned status ${status}, unlike ${what}`, remedy)
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

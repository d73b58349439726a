import type { AuthenticatorConfig } from '../../auth/config.ts'
import { addressOf, askIdentityService, type RemoteAuthenticator } from '../../auth/reach.ts'
import { redactText } from '../../config/redact.ts'
import { causeOf } from '../../telemetry/events.ts'
import { type Check, failed, type Finding, ok, type Scene } from './check.ts'

/** Asks what the server would ask about a caller; nobody's token is shown. */
export const identity: Check = {
  name: 'identity services',
  find: (scene) => Promise.all((scene.loaded.config.auth?.authenticators ?? []).filter(isRemote).map((config) => asked(config, scene))),
}

function isRemote(config: AuthenticatorConfig): config is RemoteAuthenticator {
  return config.type !== 'api_key' && config.type !== 'upstream_header'
}

async function asked(config: RemoteAuthenticator, { egress, signal }: Scene): Promise<Finding> {
  const subject = `identity service ${new URL(addressOf(config)).host}`
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(config.timeout)])
    return judged(subject, config, await askIdentityService(config, { egress, signal: limit }))
  } catch (error) {
    signal.throwIfAborted()
    return failed(
      subject,
      redactText(causeOf(error)),
      'Until it can be reached, its callers get 503: check the address, the network and TLS.',
    )
  }
}

function judged(subject: string, config: RemoteAuthenticator, { status, text }: { status: number; text: string }): Finding {
  if (status >= 500) return failed(subject, `answers ${status}`, 'The service itself is not well: see its own log.')
  if (config.type !== 'oauth2_token') return ok(subject, 'answers')
  const { kind } = config.check
  const what = kind === 'jwks' ? 'keys' : 'introspection'
  if (status !== 200) {
    const credentials = kind === 'jwks' ? 'the URI and its token' : 'client_id, client_secret and send_secret_in_body'
    return failed(subject, `answers ${status} where ${what} are asked for`, `Check ${credentials} in server.auth.`)
  }
  if (kind === 'jwks' ? /"keys"\s*:\s*\[/.test(text) : /"active"\s*:/.test(text)) return ok(subject, `answers (${what})`)
  return failed(subject, `answers something that is no answer about ${what}`, 'Check the address in server.auth.')
}

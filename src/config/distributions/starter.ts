import { stringify } from 'yaml'
import type { ProviderDefinition, StarterEntry } from '../../providers/provider.ts'
import { variablesIn } from '../substitute.ts'
import { isNonEmpty } from '../tree.ts'
import type { DistributionContext } from './distribution.ts'
import { findLocalServers } from './local-servers.ts'

interface Candidate {
  readonly definition: ProviderDefinition
  readonly entry: StarterEntry
}

/**
 * The `starter` distribution: every provider one of whose variables is set, every local server that responds on its default port,
 * and those that need nothing (the embedded model).
 */
export async function starterText({ env, definitions, egress }: DistributionContext): Promise<string> {
  const candidates = definitions.flatMap((definition) => (definition.starter ? [{ definition, entry: definition.starter }] : []))
  const isSet = ({ entry }: Candidate) => entry.enabledBy.length === 0 || entry.enabledBy.some((name) => isNonEmpty(env[name]))
  const asked = candidates.filter((one) => !isSet(one)).flatMap(({ entry }) => (entry.probe ? [{ id: entry.id, probe: entry.probe }] : []))
  const found = egress && asked.length > 0 ? await findLocalServers(asked, egress) : new Set<string>()
  const providers: Record<string, object[]> = {}
  for (const candidate of candidates) {
    const { definition, entry } = candidate
    const isFound = found.has(entry.id)
    if (!isSet(candidate) && !isFound) continue
    const config = isFound ? withAddress(entry) : entry.config
    ;(providers[definition.api] ??= []).push({ provider_id: entry.id, provider_type: definition.type, config })
  }
  return stringify({ version: 2, distro_name: 'starter', providers, telemetry: { store: { enabled: true } } })
}

/** A server that was found has no variable that says where it is: its address is where it was found. */
function withAddress({ config, probe, enabledBy }: StarterEntry): Readonly<Record<string, unknown>> {
  const key = 'url' in config && !('base_url' in config) ? 'url' : 'base_url'
  const written = config[key]
  const isVariable = typeof written === 'string' && variablesIn(written).some((name) => enabledBy.includes(name))
  const hasDefault = typeof written === 'string' && /:=[^}]+\}/.test(written)
  if (written !== undefined && (!isVariable || hasDefault)) return config
  const root = (probe ?? '').replace(/\/models$/, '').replace(/\/+$/, '')
  return { ...config, [key]: root.endsWith('/v1') ? root : `${root}/v1` }
}

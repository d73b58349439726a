import type { Egress } from '../../egress/egress.ts'
import type { ProviderDefinition } from '../../providers/provider.ts'
import type { Environment } from '../environment.ts'

export interface DistributionContext {
  readonly env: Environment
  readonly definitions: readonly ProviderDefinition[]
  /** The way to local servers; absent: none are looked for. */
  readonly egress?: Pick<Egress, 'request'> | undefined
}

/** A configuration that comes with Corral. */
export interface Distribution {
  readonly name: string
  readonly description: string
  /** The configuration, written for this environment. */
  text(context: DistributionContext): Promise<string>
}

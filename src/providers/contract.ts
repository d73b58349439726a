/**
 * `corral/provider`: what a provider in a package of its own imports. The embedded model imports nothing else of this server
 * (`test/embedded/edge.test.ts`).
 */
export type { Call } from '../call.ts'
export { type Egress, EgressError, type EgressResponse, type NetworkOptions } from '../egress/egress.ts'
export { ApiError, notFound, unavailable } from '../errors.ts'
export { type ChildProcess, startChild } from '../runtime/child.ts'
export type { Secret } from '../secret.ts'
export type { Log } from '../telemetry/logger.ts'
export { flag, httpUrl, secret } from './config-values.ts'
export { openaiCompatible } from './inference/openai-compatible.ts'
export {
  type AnyInvoke,
  defineProvider,
  type InferenceProvider,
  type ModelRequest,
  type ProviderDeps,
  type ProviderModel,
} from './provider.ts'

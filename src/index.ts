/** The public API of the library. Everything else can change in any release. */
export { createApp, fetchFrom, type App } from './app.ts'
export type { Authentication, AuthenticationRequest } from './auth/authenticator.ts'
export type { Call, KeyGrant, Limit, Principal, ProviderData } from './call.ts'
export type { Config, ProviderEntry, RegisteredModel, ServerConfig } from './config/config.ts'
export { loadConfig, type LoadedConfig, type LoadOptions } from './config/load.ts'
export { ApiError, type ErrorDetail, type FailureClass, type ProviderFault } from './errors.ts'
export {
  defineProvider,
  type InferenceProvider,
  type JsonReply,
  type ProviderModel,
  type ModelRequest,
  type ProviderDefinition,
  type ProviderDeps,
  type Reply,
  type StreamReply,
  type Usage,
} from './providers/provider.ts'
export { secret } from './providers/config-values.ts'
export { defineRemoteInference, type RemoteVendor } from './providers/inference/remote-inference.ts'
export { openaiCompatible, type OpenAICompatibleOptions } from './providers/inference/openai-compatible.ts'
export { Secret } from './secret.ts'
export { startServer, type RunningServer, type StartOptions } from './server.ts'
export { buildServices, type BuildOptions, type Services } from './services.ts'
export { createLog, silentLog, type Log } from './telemetry/logger.ts'

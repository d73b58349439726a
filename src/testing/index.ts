export { failureOf } from './failure-of.ts'
export { mockUpstream, refusingUrl, type MockOptions, type MockRequest, type MockUpstream } from './mock-upstream.ts'
export {
  chatChunk,
  chatFrames,
  chatReply,
  chatStream,
  completionReply,
  completionStream,
  done,
  embeddingsReply,
  errorReply,
  frame,
  jsonReply,
  modelsReply,
  toolReply,
  toolStream,
  usageChunk,
} from './replies.ts'
export { recordedLog, type RecordedLine } from './recorded-log.ts'
export { closeBeforeHead, resetBeforeHead, splitAt, stall, stallBeforeHead, type Pause, type Script } from './script.ts'
export {
  providerEntry,
  providerOf,
  testApp,
  testConfig,
  testServer,
  upstreamProvider,
  type ConfigParts,
  type TestApp,
  type TestServer,
} from './test-app.ts'

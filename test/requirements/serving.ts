import type { Requirements } from './requirement.ts'

/** Starting, configuring and relaying, without governance. */
export const serving: Requirements = {
  'RUN-1': {
    source: 'README',
    when: 'a newcomer runs `corral run` with a file',
    observed: 'one line names the address it serves, and it responds there',
  },
  'RUN-2': { source: 'Llama Stack CLI', when: 'the port is taken', observed: 'one clear line with the remedy, exit code 1' },
  'RUN-3': {
    source: 'Llama Stack CLI',
    when: '`corral build --providers "inference=remote::groq"`',
    observed: 'a runnable, commented file without any secret',
  },
  'RUN-4': {
    source: 'Llama Stack CLI',
    when: '`corral stack run|build|list-apis|list-providers`',
    observed: 'they do what `corral run|build|list` do',
  },
  'RUN-5': {
    source: 'design §2',
    when: '`createApp(services).fetch` is called in process, on Bun and on Node',
    observed: 'it responds without a port',
  },

  'CFG-1': {
    source: 'behaviour §6.3',
    when: 'a string holds `${env.X}`, `${env.X:=d}` or `${env.X:+v}`',
    observed: 'Llama Stack’s meaning, also for empty variables',
  },
  'CFG-2': { source: 'behaviour §6.3, complaint', when: 'a key or password consists of digits', observed: 'it stays a string' },
  'CFG-3': {
    source: 'behaviour §6.1, complaint',
    when: 'a file has several mistakes',
    observed: 'all are reported at once with file, line and the nearest known key',
  },
  'CFG-4': {
    source: 'behaviour §1.7 defect',
    when: 'the file has `server.port`',
    observed: 'it counts; a flag beats a variable beats the file',
  },
  'CFG-5': {
    source: 'design §5',
    when: 'a file holds auth, a quota or a policy that is invalid, or in a place where it has no effect',
    observed: 'the start fails and says where',
  },
  'CFG-6': {
    source: 'design §5',
    when: 'host is not loopback and authentication is off',
    observed: 'the start fails and names server.allow_unauthenticated',
  },
  'CFG-7': {
    source: 'behaviour §6.1',
    when: 'Llama Stack’s and OGX’s published starter files are loaded',
    observed: 'they load and serve, with and without keys',
  },
  'CFG-8': {
    source: 'behaviour §6.3',
    when: 'a provider id is conditional or `__disabled__`',
    observed: 'the entry is dropped before its other fields are read',
  },
  'CFG-9': { source: 'field §2.1', when: 'a configuration with secrets is shown', observed: 'no secret is in the output' },

  'ERR-1': {
    source: 'behaviour §15.1',
    when: 'a provider returns 401 or 403',
    observed: 'the caller gets 401 or 403 with the provider’s message, for every provider, streamed or not',
  },
  'ERR-2': { source: 'design §5', when: 'a provider returns 429 with Retry-After', observed: 'the caller gets both' },
  'ERR-3': { source: 'design §5', when: 'a provider is unreachable, silent or cut off', observed: '502, 504, 502 of type upstream_error' },
  'ERR-4': { source: 'design §5', when: 'a body, a query or a path fails its schema', observed: '400 with `param`' },
  'ERR-5': {
    source: 'behaviour §1.3 defect',
    when: 'no route matches, or not with this method',
    observed: '404, or 405 with Allow, in OpenAI’s envelope',
  },
  'ERR-6': { source: 'field §1.53', when: 'a provider echoes the key it was sent', observed: 'the caller does not see it' },
  'ERR-7': { source: 'behaviour §1.1 defect', when: 'a browser’s request fails', observed: 'the error carries CORS headers too' },
  'ERR-8': { source: 'design §5', when: 'a body is garbage of any kind', observed: '4xx, never 500' },

  'STR-1': {
    source: 'field §1.3',
    when: 'a stream’s chunks come with changing or missing ids',
    observed: 'id, created and model stay the same for the whole stream',
  },
  'STR-2': { source: 'field §1.8', when: 'the upstream is cut in the middle', observed: 'an error event and no [DONE]' },
  'STR-3': { source: 'field §1.15', when: 'the caller leaves', observed: 'the upstream’s connection closes' },
  'STR-4': { source: 'field §1.18', when: 'the upstream is silent', observed: 'heartbeat comments, before the first token too' },
  'STR-5': {
    source: 'design §4',
    when: 'a caller did not ask for usage',
    observed: 'it sees no usage chunk, though the upstream was asked',
  },
  'STR-6': { source: 'design §4', when: 'frames are split at any byte, CRLF, multi-byte or 10 MB large', observed: 'they arrive whole' },
  'STR-7': { source: 'field §1.24', when: 'a delta has fields this server does not know', observed: 'they travel' },
  'STR-8': {
    source: 'design §5',
    when: 'the upstream sends an error inside a stream',
    observed: 'one error event in OpenAI’s form, then the end',
  },

  'REQ-1': {
    source: 'design §4',
    when: 'a request holds numbers beyond 2^53 and unknown fields',
    observed: 'the upstream gets the same bytes',
  },
  'REQ-2': { source: 'openai-spec', when: 'a vendor’s own enum value or content part is sent', observed: 'it travels' },

  'MOD-1': {
    source: 'behaviour §7',
    when: 'a provider’s own id contains a slash (`openai/gpt-oss-120b` at Groq)',
    observed: 'it is reachable with and without the provider’s prefix',
  },
  'MOD-2': { source: 'behaviour §7', when: 'several providers have an unprefixed id', observed: '400 that names them' },
  'MOD-3': {
    source: 'behaviour §7 defect',
    when: 'a provider is down at start and comes up later',
    observed: 'its models appear without a restart',
  },
  'MOD-4': { source: 'issue', when: 'a provider’s first listing is still awaited', observed: 'its models are 503, not 404' },
  'MOD-5': { source: 'issue', when: 'a provider lists slowly', observed: '`GET /v1/models` does not wait for it' },
  'MOD-6': {
    source: 'behaviour §5',
    when: 'a caller brings a key in the header',
    observed: 'the models it lists are shown to this credential alone',
  },
  'MOD-7': { source: 'behaviour §7', when: 'a model is read', observed: 'OpenAI’s keys and Llama Stack’s stand side by side' },
  'MOD-8': { source: 'behaviour §7', when: '`allowed_models` is set', observed: 'it filters the list and holds for inference' },

  'PRV-1': { source: 'behaviour §5', when: 'a key is in the header and in the configuration', observed: 'the header’s wins' },
  'PRV-2': { source: 'behaviour §5', when: 'neither holds a key', observed: '400 that names the header field' },
  'PRV-3': {
    source: 'behaviour §5 defect',
    when: 'the provider-data header holds `__*` keys',
    observed: 'they are stripped',
  },
  'PRV-4': { source: 'field §1.39', when: 'several requests go to one upstream', observed: 'the connection is reused' },
  'PRV-5': { source: 'field §2.1', when: 'a caller names the upstream’s URL', observed: 'the operator’s key is not sent there' },
  'PRV-8': {
    source: 'issue',
    when: 'the definition of a provider has hooks for its replies',
    observed: '`editFrame` changes each chunk and each whole reply before it is read, `usageOf` decides its usage',
  },
  'PRV-10': {
    source: 'issue',
    when: 'the embedded model is served',
    observed: 'it imports only the provider contract, and is loaded as the `module:` of a third party is',
  },
  'PRV-9': {
    source: 'issue',
    when: 'a provider is one file and one entry in a list, of inference or of an API of its own',
    observed: 'it is configured, checked, documented, limited, metered, traced, listed and disposed as the others are',
  },
  'PRV-11': {
    source: 'issue',
    when: 'a vendor differs from others',
    observed: 'its definition says so: shared code branches on no vendor',
  },
  'PRV-7': {
    source: 'issue',
    when: 'a provider returns an error',
    observed: 'it has a failure class by its status, type, code and message, and whether a retry can help',
  },

  'SRV-1': {
    source: 'design §5',
    when: 'SIGTERM arrives while a stream runs',
    observed: 'readiness turns false, the stream finishes, the exit code is 0',
  },
  'SRV-2': { source: 'issue', when: 'a worker is killed', observed: 'the supervisor starts another' },
  'SRV-3': { source: 'issue', when: 'a certificate comes without its key', observed: 'the start fails' },
  'SRV-4': { source: 'issue', when: 'a client CA is configured', observed: 'a client without certificate is refused' },
  'SRV-5': { source: 'design §5', when: 'a loopback server is asked with a foreign Host header', observed: 'the request is refused' },

  'EMB-1': {
    source: 'issue',
    when: 'the embedded model’s process is killed',
    observed: 'its request is a 502, the server lives, the process comes back',
  },
  'EMB-2': { source: 'issue', when: 'the model is not there yet', observed: '503 with Retry-After, and what is awaited' },
  'EMB-3': { source: 'issue', when: 'a download is cut', observed: 'the next one resumes, and a wrong hash is refused' },
  'EMB-4': { source: 'issue', when: 'a caller of the embedded model leaves', observed: 'its slot is free' },

  'SDK-1': {
    source: 'issue, Show 3',
    when: 'OpenAI’s official client chats, streams, calls tools, embeds and lists',
    observed: 'it works, and every error class it defines is raised for its status',
  },
  'SDK-2': { source: 'issue, Show 3', when: 'llama-stack-client 0.7.3 and 0.2.23 list models and chat', observed: 'they work' },
}

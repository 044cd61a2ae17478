<?php
declare(strict_types=1);

namespace Coolify\Coold\Testing;

use Closure;
use Coolify\Coold\Client;
use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Http\Answer;
use Coolify\Coold\Http\Lines;
use Coolify\Coold\Http\Transport;
use Coolify\Coold\Retries;
use LogicException;

/**
 * A broker for tests, without hosts: verbs answer what the test says, in the envelopes of a real one, and what was asked is kept.
 *
 *     $broker = new FakeBroker();
 *     $broker->answer('containers.create', ['id' => 'c1']);
 *     $broker->refuse('containers.start', 'container_not_found', 404);
 *     $client = $broker->client();
 */
final class FakeBroker implements Transport
{
    /** @var array<string, Closure(array<string, mixed>, string): mixed> by verb */
    private array $verbs = [];
    /** @var array<string, array{0: int, 1: array<mixed>|null}> by method and path */
    private array $calls = [];
    /** @var array<string, list<array<string, mixed>>> by verb */
    private array $streams = [];
    /** @var list<array{host_id: string, request_id: string, command: array<string, mixed>}> */
    private array $sent = [];
    /** @var list<array<string, mixed>> */
    private array $input = [];

    public function client(?Retries $retries = null): Client
    {
        return new Client($this, $retries ?? Retries::none());
    }

    /**
     * What a verb answers.
     *
     * @param array<mixed>|null|Closure(array<string, mixed>, string): mixed $data `data`, or what makes it of the command and the
     *     host's id
     */
    public function answer(string $verb, array|null|Closure $data): self
    {
        $this->verbs[$verb] = $data instanceof Closure ? $data : static fn (): ?array => $data;
        return $this;
    }

    /** Lets a verb fail, as a host would. */
    public function refuse(string $verb, string $reason, int $code, string $message = 'refused', ?string $field = null): self
    {
        return $this->answer($verb, static function () use ($reason, $code, $message, $field): never {
            throw CooldException::of(compact('reason', 'code', 'message', 'field'), true);
        });
    }

    /**
     * What a verb answers as a stream.
     *
     * @param list<array<string, mixed>> $lines behind the beginning, such as ['stream' => 'stdout', 'data' => 'hello']
     */
    public function streams(string $verb, array $lines): self
    {
        $this->streams[$verb] = $lines;
        return $this;
    }

    /** What another call of the lane answers. @param array<mixed>|null $body */
    public function call(string $method, string $path, int $status, ?array $body): self
    {
        $this->calls["$method $path"] = [$status, $body];
        return $this;
    }

    /** @return list<array<string, mixed>> the commands of a verb that were sent, of all hosts, in their order */
    public function commands(string $verb): array
    {
        $commands = array_map(static fn (array $body): array => $body['command'], $this->sent);
        return array_values(array_filter($commands, static fn (array $command): bool => $command['type'] === $verb));
    }

    /** @return list<array{host_id: string, request_id: string, command: array<string, mixed>}> everything that hosts were sent */
    public function sent(): array
    {
        return $this->sent;
    }

    /** @return list<array<string, mixed>> lines of input that streams were brought */
    public function input(): array
    {
        return $this->input;
    }

    public function send(string $method, string $path, ?array $json, float $timeoutSeconds): Answer
    {
        if ("$method $path" === 'POST /v1/coold/dispatch') {
            return $this->dispatch(self::asSent($json));
        }
        [$status, $body] = $this->calls["$method $path"]
            ?? throw new LogicException("the test does not say what $method $path answers");
        return self::answered($status, $body);
    }

    public function open(string $method, string $path, ?array $json): Lines
    {
        $lines = match (true) {
            $path === '/v1/coold/stream' => $this->streamed(self::asSent($json)),
            isset($this->calls["$method $path"]) => $this->calls["$method $path"][1] ?? [],
            default => throw new LogicException("the test does not say what $method $path streams"),
        };
        return new FakeLines(array_values($lines), function (string $posted): void {
            foreach (explode("\n", trim($posted)) as $line) {
                $this->input[] = (array) json_decode($line, true, flags: JSON_THROW_ON_ERROR);
            }
        });
    }

    /** @param array{host_id: string, request_id: string, command: array<string, mixed>} $body */
    private function dispatch(array $body): Answer
    {
        $this->sent[] = $body;
        ['host_id' => $hostId, 'request_id' => $requestId, 'command' => $command] = $body;
        $verb = $this->verbs[$command['type']]
            ?? throw new LogicException("the test does not say what {$command['type']} answers");
        try {
            return self::answered(200, ['request_id' => $requestId, 'status' => 'ok', 'data' => $verb($command, $hostId)]);
        } catch (CooldException $error) {
            return self::answered($error->isFromHost ? 200 : $error->getCode(), self::envelope($requestId, $error));
        }
    }

    /**
     * @param array{host_id: string, request_id: string, command: array<string, mixed>} $body
     * @return list<array<string, mixed>>
     */
    private function streamed(array $body): array
    {
        $this->sent[] = $body;
        $type = $body['command']['type'];
        $lines = $this->streams[$type] ?? throw new LogicException("the test does not say what $type streams");
        return [['request_id' => $body['request_id'], 'status' => 'ok'], ...$lines];
    }

    /** @return array<string, mixed> */
    private static function envelope(string $requestId, CooldException $error): array
    {
        return array_filter([
            'request_id' => $requestId,
            'status' => 'error',
            'code' => $error->getCode(),
            'reason' => $error->reason,
            'message' => $error->getMessage(),
            'field' => $error->field,
        ], static fn (mixed $value): bool => $value !== null);
    }

    /** What comes out at the other end of a wire. @param array<string, mixed>|null $json @return array<string, mixed> */
    private static function asSent(?array $json): array
    {
        return json_decode(json_encode($json, JSON_THROW_ON_ERROR), true, flags: JSON_THROW_ON_ERROR);
    }

    /** @param array<mixed>|null $body */
    private static function answered(int $status, ?array $body): Answer
    {
        return new Answer($status, $body === null ? '' : json_encode($body, JSON_THROW_ON_ERROR));
    }
}

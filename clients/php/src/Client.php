<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Http\CurlTransport;
use Coolify\Coold\Http\Transport;

/** The broker: what leads to hosts and builds. It holds no state beside a kept connection. */
final class Client
{
    /**
     * @param float $dispatchSeconds BROKER_DISPATCH_TIMEOUT_SECS of the broker
     */
    public function __construct(
        public readonly Transport $transport,
        public readonly Retries $retries = new Retries(),
        public readonly float $dispatchSeconds = 10.0,
    ) {
    }

    /** A client of the broker's socket. */
    public static function at(string $socketPath = '/run/coolify/broker.sock', ?Retries $retries = null): self
    {
        return new self(new CurlTransport($socketPath), $retries ?? new Retries());
    }

    /** The same, with other rules for repeating requests. */
    public function withRetries(Retries $retries): self
    {
        return new self($this->transport, $retries, $this->dispatchSeconds);
    }

    /** A host, by the claim `sub` of its token. */
    public function host(string $hostId): Host
    {
        return new Host($this, $hostId);
    }

    /** The builds. */
    public function builds(): Builds
    {
        return new Builds($this);
    }

    /** Whether the broker serves. */
    public function isUp(): bool
    {
        try {
            return ($this->withRetries(Retries::none())->call('GET', '/v1/health')['ok'] ?? false) === true;
        } catch (Exception\Disconnected) {
            return false;
        }
    }

    /** @return list<array<string, mixed>> the hosts that are connected to this broker */
    public function hosts(): array
    {
        return array_values($this->call('GET', '/v1/streams') ?? []);
    }

    /** @return array<string, mixed> the hosts of all brokers: hosts, brokers, complete */
    public function fleet(): array
    {
        return $this->call('GET', '/v1/streams?all=1') ?? [];
    }

    /** @return array<string, mixed> what `broker status --json` shows */
    public function status(): array
    {
        return $this->call('GET', '/v1/status') ?? [];
    }

    /** @return list<array{jti?: string, host_id?: string}> what is revoked */
    public function revokedTokens(): array
    {
        return array_values($this->call('GET', '/v1/tokens/revoke') ?? []);
    }

    /** Revokes a token, by its claim `jti`, and ends its streams. */
    public function revokeToken(string $jti): void
    {
        $this->call('POST', '/v1/tokens/revoke', ['jti' => $jti]);
    }

    /** Removes a token from the revoked ones. */
    public function restoreToken(string $jti): void
    {
        $this->call('DELETE', '/v1/tokens/revoke/' . rawurlencode($jti));
    }

    /**
     * Makes a call of the lane, repeated by the rules of this client. An error of the broker is thrown; what a host answers is
     * returned as its envelope.
     *
     * @param array<string, mixed>|null $json
     * @return array<mixed>|null
     * @throws CooldException
     * @throws Exception\Disconnected
     */
    public function call(string $method, string $path, ?array $json = null, ?float $timeoutSeconds = null, bool $worksAnew = false): ?array
    {
        return $this->retries->run(fn (): ?array => $this->once($method, $path, $json, $timeoutSeconds), $worksAnew);
    }

    /**
     * Makes a call once.
     *
     * @param array<string, mixed>|null $json
     * @return array<mixed>|null
     */
    private function once(string $method, string $path, ?array $json, ?float $timeoutSeconds): ?array
    {
        $answer = $this->transport->send($method, $path, $json, $timeoutSeconds ?? $this->dispatchSeconds + 5);
        $body = $answer->json();
        if ($answer->status >= 300 || ($body['status'] ?? null) === 'error') {
            throw CooldException::of(($body ?? []) + ['code' => $answer->status], $answer->status < 300);
        }
        return $body;
    }

    /** An id for a request, unlike any other. */
    public static function newId(string $what): string
    {
        return preg_replace('/[^A-Za-z0-9_.-]/', '-', $what) . '-' . bin2hex(random_bytes(10));
    }
}

<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Replaces the token by which the host dials its broker; the stream that is up stays.
 * @implements Command<null>
 */
final readonly class HostJwtSet implements Command
{
    /** @param string $token A JWT for the host that the present token is for, which has not ended. */
    public function __construct(
        public string $token,
    ) {
    }

    public function type(): string
    {
        return 'host.jwt.set';
    }

    public function fields(): array
    {
        return array_filter([
            'token' => $this->token,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): mixed
    {
        return null;
    }
}

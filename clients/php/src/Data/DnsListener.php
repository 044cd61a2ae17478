<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class DnsListener
{
    /**
     * @param string $namespace The namespace, or the network, whose gateway it is.
     * @param string $address The address of the gateway.
     * @param bool $bound Clients there are answered by this process, as far as it can see.
     * @param string|null $problem What is in the way; absent while nothing is.
     */
    public function __construct(
        public string $namespace,
        public string $address,
        public bool $bound,
        public ?string $problem,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['namespace'] ?? '',
            $data['address'] ?? '',
            $data['bound'] ?? false,
            $data['problem'] ?? null,
        );
    }
}

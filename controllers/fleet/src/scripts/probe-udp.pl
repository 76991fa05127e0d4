# One line per address: `ADDRESS PORT open|silent`; open means that the echo came back.
use strict; use warnings; use IO::Socket::INET; use IO::Select;
while (my $line = <DATA>) {
  next unless $line =~ /^([0-9.]+) (\d+)$/;
  my ($address, $port) = ($1, $2);
  my $socket = IO::Socket::INET->new(Proto => 'udp', PeerAddr => $address, PeerPort => $port);
  my $state = 'silent';
  if ($socket) {
    my $select = IO::Select->new($socket);
    for my $try (1 .. 4) {
      $socket->send("otternauts-probe $try");
      next unless $select->can_read(0.5);
      my $answer = $socket->recv(my $data, 64);
      if (defined $answer && defined $data && $data =~ /^otternauts-probe /) { $state = 'open'; last; }
      select(undef, undef, undef, 0.3);
    }
  }
  print "$address $port $state\n";
}
